import {
  chmodSync,
  closeSync,
  constants,
  mkdirSync,
  openSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { BadImageError } from '../mount/bad-image.ts'
import { openBase } from '../mount/base.ts'
import { hasCode } from '../mount/error-code.ts'
import { LockHeldError } from '../mount/lock.ts'
import { descriptorPath } from '../mount/open.ts'
import { openOverlays } from '../mount/overlays.ts'
import { type BaseSource, type OpenBase, OverlayDamagedError, OverlayError } from '../mount/parts.ts'
import { mountRoot } from '../mount/root.ts'
import { O_PATH } from '../mount/syscalls.ts'
import { endPredecessors, forgetUnmounted } from '../node/containers.ts'
import { contentionOver } from '../node/holders.ts'
import { writeJson } from '../node/json-file.ts'
import { containerPaths, installedPaths, lockDir, type NodeLayout, podPaths, rootPath } from '../node/layout.ts'
import type { Damage, Ticket, Volumes } from '../node/ticket.ts'
import type { Invocation } from './args.ts'
import {
  mainConfig,
  type OciConfig,
  ourDevices,
  ourVolumes,
  type ProcessUser,
  prepareConfig,
  readConfig,
  sameUser,
  writeConfig,
} from './bundle.ts'
import { identify } from './identity.ts'
import { assertProgram } from './program.ts'
import { type Recordable, recordOf, unmounted } from './record.ts'
import { sourcesOf } from './sources.ts'
import { awaitTicket } from './state.ts'
import { resolveUserIn, UserError } from './user.ts'

/** All under the two minutes that the kubelet gives the request. */
export interface Waits {
  ticketMs: number
  /** The same, when the agent's refusal is one that no retry can mend. */
  finalMs: number
  /** A predecessor's flush at its end may be long: it holds the lock until all is on disk. */
  lockMs: number
  totalMs: number
}
const defaultWaits: Waits = { ticketMs: 100_000, finalMs: 3_000, lockMs: 30_000, totalMs: 110_000 }

/** Only who wrote the ContainerImage can put another file there. */
const withRemedy = (error: unknown): unknown => {
  if (!(error instanceof OverlayError && error.cause instanceof BadImageError)) return error
  if (error.cause.remedy !== undefined) return error
  return new OverlayError(
    `${error.message}: put a whole squashfs, SIF or .simg file or a sandbox there, or correct spec.source.volume.path of the ContainerImage`,
    { cause: error },
  )
}

/** The agent looks for it again whenever the pod changes, as it does when this fails. */
const openImage = ({ reference, volume, allowExt3 }: Ticket['image'], source: BaseSource): OpenBase => {
  try {
    return openBase(source, { allowExt3 })
  } catch (error) {
    if (volume && hasCode(error, 'ENOENT'))
      throw new Error(
        `the volume of image ${reference} has no "${volume.path}": correct spec.source.volume.path of the ContainerImage, or put the image there`,
        { cause: error },
      )
    // Whoever collects it has its lock until its name is gone.
    const isLeaving = hasCode(error, 'ENOENT') || error instanceof LockHeldError
    if (volume) throw withRemedy(error)
    if (!isLeaving) throw error
    throw new Error(`image ${reference} has left the node's cache: the node agent fetches it again`, { cause: error })
  }
}

/** What the agent is told at once: nobody else finds out before the next start. */
const tellDamage = (layout: NodeLayout, { pod }: Ticket, { name, uid }: Damage['overlay'], message: string): void => {
  const { damages } = podPaths(layout, pod.uid)
  mkdirSync(damages, { recursive: true })
  writeJson(join(damages, `${uid}.json`), { overlay: { name, uid }, message } satisfies Damage)
}

/**
 * Runs `act`, and tells the agent of an overlay that it finds damaged. Where it meets one in use, of which the library
 * cannot say by whom, the records of the node may.
 */
const explaining = <T>(layout: NodeLayout, { id, ticket }: { id: string; ticket: Ticket }, act: () => T): T => {
  try {
    return act()
  } catch (error) {
    if (error instanceof OverlayDamagedError) tellDamage(layout, ticket, error.overlay, error.damage)
    const held = error instanceof OverlayError ? error.cause : error
    const found = held instanceof LockHeldError ? contentionOver(layout, id, ticket) : undefined
    throw found === undefined ? error : new OverlayError(found, { cause: error })
  }
}

const withRoot = <T>(target: string, act: (root: number) => T): T => {
  const root = openSync(target, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    return act(root)
  } finally {
    closeSync(root)
  }
}

/** The kubelet's own check saw the placeholder image's user, not the one of the image that really runs. */
const assertNotRoot = (ticket: Ticket, user: ProcessUser): void => {
  if (!ticket.runAsNonRoot || user.uid !== 0) return
  throw new UserError(
    'the pod has runAsNonRoot, and the image runs as root: set securityContext.runAsUser in podTemplate, or use an image with another user',
  )
}

/** Nothing is mounted once this process has ended: until then the mount record stays, and the next `create` removes it. */
const undo = (layout: NodeLayout, id: string, hostRoots: number): void => {
  rmSync(containerPaths(layout, id).dir, { recursive: true, force: true })
  // By its name the directory is covered by the private namespace's own.
  rmdirSync(`${descriptorPath(hostRoots)}/${id}`)
}

const createMain = (
  layout: NodeLayout,
  { id, bundle, pidFile }: { id: string; bundle: string; pidFile: string },
  { podUID, config }: { podUID: string; config: OciConfig },
  waits: Waits,
  now: Date,
): void => {
  const started = performance.now()
  const held = awaitTicket(layout, podUID, waits)
  const { ticket } = held
  const { skeleton, init } = installedPaths(layout)
  const target = rootPath(layout, id)
  const lockMs = Math.max(0, Math.min(waits.lockMs, started + waits.totalMs - performance.now()))
  const sources = sourcesOf(layout, ticket, config)
  const base = openImage(ticket.image, sources.base)
  endPredecessors(layout, podUID)
  const overlays = explaining(layout, { id, ticket }, () => openOverlays(sources.overlays, lockMs))

  const pod = podPaths(layout, podUID)
  const container = containerPaths(layout, id)
  const record = join(pod.mounts, `${id}.json`)
  const write = (mounted: readonly Recordable[]): void =>
    writeJson(record, recordOf({ containerID: id, pidFile, ticket, createTime: now }, mounted))
  for (const dir of [pod.mounts, pod.releases]) mkdirSync(dir, { recursive: true })
  forgetUnmounted(layout, podUID)
  // The record comes first: whatever is left of a create that was killed is found by it.
  write(overlays.map(unmounted))
  mkdirSync(container.dir, { recursive: true })
  symlinkSync(record, container.mount)
  // runc's exec changes to this path in the host's namespace: it must exist there too.
  mkdirSync(target, { recursive: true })
  const hostRoots = openSync(dirname(target), O_PATH | constants.O_DIRECTORY)
  try {
    const parts = {
      target,
      lockDir: lockDir(layout),
      skeleton: openBase({ kind: 'file', path: skeleton }, { allowExt3: false }),
      base: { ...base, recorded: { reference: ticket.image.reference, digest: ticket.image.digest } },
      overlays,
      ephemeral: sources.ephemeral,
      mountLabel: config.linux?.mountLabel ?? '',
    }
    const mounted = explaining(layout, { id, ticket }, () => mountRoot(parts))
    write(mounted)
    for (const { overlay, damage } of mounted) if (damage !== null) tellDamage(layout, ticket, overlay.source, damage)
    held.release()

    const user = withRoot(target, (root) => resolveUserIn(root, ticket))
    assertNotRoot(ticket, user)
    const changed = mainConfig(config, { root: target, user, init })
    withRoot(target, (root) => assertProgram(root, changed, ticket.image.reference))
    if (!sameUser(user, config.process.user)) writeJson(container.user, user)
    if (ticket.stopSignal !== null) writeFileSync(container.stopSignal, `${ticket.stopSignal}\n`)
    writeConfig(bundle, changed)
  } catch (error) {
    undo(layout, id, hostRoots)
    throw error
  }
}

const volumesOf = (config: OciConfig): Volumes => ({
  volumes: [...ourVolumes(config)].map(([mountPath, source]) => ({ mountPath, source })),
  devices: [...ourDevices(config)].map(([mountPath, device]) => ({ mountPath, device })),
})

const createPrepare = (layout: NodeLayout, bundle: string, podUID: string, config: OciConfig): void => {
  const paths = podPaths(layout, podUID)
  mkdirSync(paths.progress, { recursive: true })
  // Whoever `prepare` runs as must be able to read what it tails.
  chmodSync(paths.progress, 0o755)
  writeJson(paths.volumes, volumesOf(config))
  writeConfig(bundle, prepareConfig(config, { progress: paths.progress }))
}

/** Does our part of `create`; what is left is runc's, with the same arguments, in the namespace that this leaves. */
export const create = (
  layout: NodeLayout,
  { id, bundle = '.', pidFile = '' }: Invocation,
  now: Date,
  waits: Waits = defaultWaits,
): void => {
  const config = readConfig(bundle)
  const { role, podUID } = identify(config)
  if (role === 'main') createMain(layout, { id, bundle, pidFile }, { podUID, config }, waits, now)
  if (role === 'prepare') createPrepare(layout, bundle, podUID, config)
}
