import { standingOf } from '../../../kube/instance-standing.ts'
import { instances } from '../../../kube/resources.ts'
import { CliError, usageError } from '../../shared/cli-error.ts'
import type { CommandContext } from '../context.ts'
import { objectName } from '../flags.ts'
import { followUntil } from '../follow.ts'
import { bring, wake, withUndo } from '../run/bring.ts'
import { existingInstance } from '../run/find.ts'
import { waitUntilRunning } from '../run/wait.ts'
import { type InstanceOptions, wantedOf } from './run.ts'

interface StartOptions extends InstanceOptions {
  wait: boolean
}

/** What only an instance that is made can be given. */
const flagsOf = ({ env, workdir, pwd }: StartOptions) => ({ '--env': env, '--workdir': workdir ?? pwd })

/** What is of use only where something is made. */
const makingFlagsOf = ({ overlay, size, pullSecret, sha256 }: StartOptions) => ({
  '--overlay': overlay,
  '--size': size,
  '--pull-secret': pullSecret,
  '--sha256': sha256,
})

/** @throws CliError when one of the flags was given */
const assertNone = (flags: Record<string, unknown>, words: (flag: string) => string): void => {
  for (const [flag, value] of Object.entries(flags)) if (value !== undefined) throw usageError(words(flag))
}

const startExisting = async (context: CommandContext, name: string, options: StartOptions): Promise<void> => {
  const { wait } = options
  assertNone(
    { ...makingFlagsOf(options), ...flagsOf(options) },
    (flag) => `${flag} is for an instance that is made: kubectl lamina start IMAGE ${name} ${flag} …`,
  )
  const connection = await context.connect()
  const instance = await existingInstance(connection, name).catch((error: unknown) => {
    throw error instanceof CliError
      ? new CliError(`${error.message}\nTo make one: kubectl lamina start IMAGE ${name}`)
      : error
  })
  if (standingOf(instance).kind === 'running') return context.print(`instance ${name} runs already\n`)
  await wake(context, connection, instance)
  if (wait) await waitUntilRunning(connection, context, name)
  context.print(`instance ${name} ${wait ? 'runs' : 'starts'}\n`)
}

/** As of Singularity: `start IMAGE INSTANCE`; or `start INSTANCE` of one that is there. */
export const start = async (
  context: CommandContext,
  words: readonly string[],
  options: StartOptions,
): Promise<void> => {
  const [first = '', second, ...more] = words
  if (more.length > 0) throw usageError(`start takes INSTANCE, or IMAGE and INSTANCE; what is "${more.join(' ')}"?`)
  if (second === undefined) return startExisting(context, first, options)
  const name = objectName()(second)
  const wanted = wantedOf(first, options, { name, isThrowAway: false, wait: options.wait })
  if (wanted.target.instance !== undefined && wanted.target.source === undefined)
    throw usageError(`start takes IMAGE and INSTANCE: ${first} is an instance`)
  const { instance: _, ...target } = wanted.target
  const connection = await context.connect()
  const { client, namespace } = connection
  if (await client.get(instances, { namespace, name }))
    assertNone(
      flagsOf(options),
      (flag) => `instance ${name} is there already, and ${flag} is for one that is made: give it another name`,
    )
  await withUndo(context, (undo) => bring(context, connection, { ...wanted, target }, undo))
  context.print(`instance ${name} ${options.wait ? 'runs' : 'starts'}\n`)
}

interface StopOptions {
  all?: boolean
  wait: boolean
}

export const stop = async (
  context: CommandContext,
  names: readonly string[],
  { all, wait }: StopOptions,
): Promise<void> => {
  if (names.length === 0 && !all) throw usageError('name the instances to stop, or give --all')
  if (names.length > 0 && all) throw usageError('--all stops them all: leave the names out')
  const connection = await context.connect()
  const { client, namespace } = connection
  const wanted = all
    ? (await client.list(instances, { namespace })).filter(({ spec }) => spec.state === 'Running')
    : await Promise.all(names.map((name) => existingInstance(connection, name)))
  for (const { metadata } of wanted) await client.mergePatch(instances, metadata, { spec: { state: 'Stopped' } })
  if (wanted.length === 0) return context.status.say('nothing runs here')
  for (const { metadata } of wanted) {
    const { name } = metadata
    if (wait) {
      await followUntil(
        client,
        instances,
        { namespace, name },
        {
          signal: context.interrupts.signal,
          judge: (instance) => {
            if (!instance) return true
            const standing = standingOf(instance)
            if (standing.kind === 'atRest' || standing.kind === 'ended') return true
            context.status.show(`${name}: ${'message' in standing ? standing.message : 'it is asked to end'}`)
            return instance.spec.state === 'Running' ? true : undefined
          },
        },
      )
      context.status.clear()
    }
    context.print(`instance ${name} ${wait ? 'is stopped' : 'stops'}\n`)
  }
}
