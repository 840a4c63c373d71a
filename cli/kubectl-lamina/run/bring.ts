import { setTimeout as sleep } from 'node:timers/promises'
import type { Instance } from '../../../crds/instance.ts'
import { hasReason } from '../../../kube/client.ts'
import { wakeOf } from '../../../kube/instance-standing.ts'
import { annotations } from '../../../kube/names.ts'
import { instances, persistentOverlays } from '../../../kube/resources.ts'
import { CliError, usageError } from '../../shared/cli-error.ts'
import { didYouMean } from '../../shared/similar.ts'
import type { Connection } from '../connection.ts'
import type { CommandContext } from '../context.ts'
import type { OverlayFlag } from '../flags.ts'
import { existingInstance, type Found, find } from './find.ts'
import { createImage, createInstance, createOverlay, randomWord } from './make.ts'
import { throwAwayName } from './names.ts'
import { discardUnresolved, waitUntilResolved } from './resolve.ts'
import type { Target } from './target.ts'
import { waitUntilRunning } from './wait.ts'

/** What is asked of an instance that is to run. */
export interface Wanted {
  target: Target
  overlays: readonly OverlayFlag[]
  /** Of overlays that are made. */
  size: string
  env: readonly { name: string; value: string }[]
  workingDir: string | undefined
  pullSecrets: readonly string[]
  /** Of an instance that is made; without one it is a throw-away. */
  name: string | undefined
  isThrowAway: boolean
  /** `--rm`: one that is there already would not be thrown away, as who wrote that expects, nor may it be. */
  mustBeNew: boolean
  wait: boolean
}

/** An instance that runs, or is on its way. */
export interface Brought {
  name: string
  /** The ContainerImage that it asks for. */
  image: string
  /** Whether it was there before. */
  isOld: boolean
}

/** What is undone when it comes to nothing, or is done with: the last first. */
export type Undo = (act: () => Promise<void>) => void

const useWords = ({ name, access }: OverlayFlag): string => (access === 'ReadOnly' ? `${name}:ro` : name)

const sameOverlays = ({ spec }: Instance, wanted: readonly OverlayFlag[]): boolean =>
  spec.overlays.map(useWords).join() === wanted.map(useWords).join()

/** What was asked for of an instance that is there must be what it is. */
const assertSame = (instance: Instance, { overlays, name, mustBeNew }: Wanted, image?: string): void => {
  const its = instance.metadata.name
  if (mustBeNew)
    throw usageError(
      `instance ${its} is there already, and --rm throws away only what it has made: leave --rm out, or give another --name`,
    )
  if (overlays.length > 0 && !sameOverlays(instance, overlays)) {
    const has = instance.spec.overlays.map(useWords).join(', ') || 'none'
    throw usageError(
      `instance ${its} is there already, with other overlays (${has}): leave --overlay out, or give another --name`,
    )
  }
  if (image !== undefined && instance.spec.imageRef.name !== image)
    throw usageError(
      `instance ${its} is there already, on another image (${instance.spec.imageRef.name}): give another --name`,
    )
  if (image === undefined && name !== undefined && name !== its)
    throw usageError(`${its} is an instance, and has a name: leave --name out`)
}

const ensureImage = async (
  context: CommandContext,
  connection: Connection,
  found: Exclude<Found, { kind: 'instance' }>,
  { pullSecrets }: Wanted,
  undo: Undo,
): Promise<void> => {
  if (found.kind === 'source') {
    const { source, name } = found
    const origin = source.kind === 'registry' ? source.image : source.url
    const isName = origin === name ? ', for no instance and no image here has that name' : ''
    context.status.say(`making ContainerImage ${name} of ${origin}${isName}`)
    await createImage(connection, name, source, { pullSecrets })
    undo(() => discardUnresolved(connection, context, name))
  }
  await waitUntilResolved(connection, context, found.name).catch((error: unknown) => {
    throw found.kind === 'source' && error instanceof CliError
      ? new CliError(`${error.message}${didYouMean(found.similar)}`, { exitCode: error.exitCode, cause: error })
      : error
  })
}

const ensureOverlays = async (
  { status }: CommandContext,
  connection: Connection,
  { overlays, size }: Wanted,
): Promise<void> => {
  const { client, namespace } = connection
  for (const { name, access } of overlays) {
    if (await client.get(persistentOverlays, { namespace, name })) continue
    if (access === 'ReadOnly')
      throw new CliError(`there is no overlay "${name}" in namespace ${namespace} that could be read`)
    status.say(`making PersistentOverlay ${name} of ${size}; it stays`)
    await createOverlay(connection, name, { size })
  }
}

/** Starts one that is stopped, idle or has ended; says so. */
export const wake = async (
  { status }: Pick<CommandContext, 'status'>,
  { client }: Connection,
  instance: Instance,
): Promise<void> => {
  const { metadata } = instance
  switch (wakeOf(instance)) {
    case 'nothing':
      return
    case 'state':
      status.say(`starting instance ${metadata.name}`)
      await client.mergePatch(instances, metadata, { spec: { state: 'Running' } })
      return
    case 'request':
      status.say(`starting instance ${metadata.name} again`)
      await client.mergePatch(instances, metadata, {
        metadata: { annotations: { [annotations.startRequested]: `kubectl-lamina ${new Date().toISOString()}` } },
      })
  }
}

const makeInstance = async (
  context: CommandContext,
  connection: Connection,
  name: string,
  { image, overlays, env, workingDir, isThrowAway }: Wanted & { image: string },
  undo: Undo,
): Promise<void> => {
  const { client } = connection
  context.status.say(
    isThrowAway ? `making Instance ${name}, which is thrown away at the end` : `making Instance ${name}`,
  )
  const made = await createInstance(connection, name, { image, overlays, env, workingDir, isThrowAway })
  if (!isThrowAway) return
  undo(async () => {
    const isThere = await client
      .delete(instances, made.metadata, { uid: made.metadata.uid })
      .catch((error: unknown) => {
        if (hasReason(error, 'Conflict')) return false
        throw error
      })
    if (isThere) context.status.say(`instance ${name} deleted`)
  })
}

/** One of an image, by its name or a new one, with all that it needs; what cannot be is refused before anything is made. */
const ensureInstance = async (
  context: CommandContext,
  connection: Connection,
  found: Exclude<Found, { kind: 'instance' }>,
  wanted: Wanted,
  undo: Undo,
): Promise<Brought> => {
  const { client, namespace } = connection
  const image = found.name
  const name = wanted.name ?? throwAwayName(image, randomWord())
  const before = await client.get(instances, { namespace, name })
  if (before) assertSame(before, wanted, image)
  await ensureImage(context, connection, found, wanted, undo)
  await ensureOverlays(context, connection, wanted)
  // Its image may have taken its time, and another may have started or stopped it meanwhile.
  if (before) await wake(context, connection, await existingInstance(connection, name))
  else await makeInstance(context, connection, name, { ...wanted, image }, undo)
  return { name, image, isOld: before !== undefined }
}

/**
 * Makes what is missing after saying so, starts what is stopped, and waits until
 * the instance runs.
 *
 * @param undo is told of what is to go again
 * @throws CliError when it does not come to run
 */
export const bring = async (
  context: CommandContext,
  connection: Connection,
  wanted: Wanted,
  undo: Undo,
): Promise<Brought> => {
  const found = await find(connection, wanted.target)
  let brought: Brought
  if (found.kind === 'instance') {
    assertSame(found.instance, wanted)
    await wake(context, connection, found.instance)
    brought = { name: found.instance.metadata.name, image: found.instance.spec.imageRef.name, isOld: true }
  } else {
    brought = await ensureInstance(context, connection, found, wanted, undo)
  }
  if (wanted.wait) await waitUntilRunning(connection, context, brought.name)
  return brought
}

const tries = 5
const againMs = 2_000

/** Once more after a while: an API server may be away for a moment just when something is to go. */
const persistently = async (act: () => Promise<void>): Promise<void> => {
  for (let count = 1; ; count++) {
    try {
      return await act()
    } catch (error) {
      if (count === tries || hasReason(error, 'Unauthorized', 'Forbidden')) throw error
      await sleep(againMs)
    }
  }
}

/** Runs `work`, and then, whatever has become of it, undoes what it says is to be undone. */
export const withUndo = async <T>(
  { status }: Pick<CommandContext, 'status'>,
  work: (undo: Undo) => Promise<T>,
): Promise<T> => {
  const acts: (() => Promise<void>)[] = []
  try {
    return await work((act) => void acts.unshift(act))
  } finally {
    status.clear()
    for (const act of acts) {
      await persistently(act).catch((error: unknown) =>
        status.say(`not cleaned up: ${error instanceof Error ? error.message : String(error)}`),
      )
    }
  }
}
