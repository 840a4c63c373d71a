import {
  chmodSync,
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readlinkSync,
  rmdirSync,
  rmSync,
  symlinkSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { hasCode } from '../mount/error-code.ts'
import { type OpenOverlay, type OverlaySource, openOverlays, openSquashfs } from '../mount/images.ts'
import type { LoopAttachment } from '../mount/loop.ts'
import { descriptorPath } from '../mount/open.ts'
import { mountRoot } from '../mount/root.ts'
import { O_PATH } from '../mount/syscalls.ts'
import { forgetUnmounted } from '../node/containers.ts'
import { writeJson } from '../node/json-file.ts'
import {
  containerPaths,
  imagePaths,
  installedPaths,
  lockDir,
  type NodeLayout,
  podPaths,
  rootPath,
} from '../node/layout.ts'
import type { MountRecord, Ticket } from '../node/ticket.ts'
import type { Invocation } from './args.ts'
import {
  identify,
  mainConfig,
  type OciConfig,
  ourVolumes,
  type ProcessUser,
  prepareConfig,
  readConfig,
  sameUser,
  writeConfig,
} from './bundle.ts'
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

/** The agent looks for it again whenever the pod changes, as it does when this fails. */
const openBase = (layout: NodeLayout, { reference, digest }: Ticket['image']): { fd: number; path: string } => {
  const { squashfs: path } = imagePaths(layout, digest)
  try {
    return { fd: openSquashfs(path), path }
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error
    throw new Error(`image ${reference} has left the node's cache: the node agent fetches it again`, { cause: error })
  }
}

const volumeSource = (volumes: ReadonlyMap<string, string>, mountPath: string): string => {
  const source = volumes.get(mountPath)
  if (source === undefined)
    throw new Error(`the ticket names a volume at ${mountPath} that the container does not mount`)
  return source
}

const overlaySources = (ticket: Ticket, volumes: ReadonlyMap<string, string>): OverlaySource[] =>
  ticket.overlays.map(({ name, uid, access, mountPath }) => ({
    name,
    uid,
    access,
    directory: volumeSource(volumes, mountPath),
  }))

const recordOf = (
  containerID: string,
  now: Date,
  overlays: readonly { overlay: OpenOverlay; loop: LoopAttachment | null }[],
): MountRecord => ({
  containerID,
  createTime: now.toISOString(),
  overlays: overlays.map(({ overlay: { source, fd, stats }, loop }) => ({
    name: source.name,
    uid: source.uid,
    access: source.access,
    path: readlinkSync(descriptorPath(fd)),
    dev: String(stats.dev),
    ino: String(stats.ino),
    loop,
  })),
})

const effectiveUser = (target: string, ticket: Ticket): ProcessUser => {
  const root = openSync(target, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    return resolveUserIn(root, ticket)
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
  { id, bundle }: { id: string; bundle: string },
  { podUID, config }: { podUID: string; config: OciConfig },
  waits: Waits,
  now: Date,
): void => {
  const started = performance.now()
  const volumes = ourVolumes(config)
  const held = awaitTicket(layout, podUID, waits)
  const { ticket } = held
  const { skeleton, init } = installedPaths(layout)
  const target = rootPath(layout, id)
  const lockMs = Math.max(0, Math.min(waits.lockMs, started + waits.totalMs - performance.now()))
  const base = openBase(layout, ticket.image)
  const overlays = openOverlays(overlaySources(ticket, volumes), lockMs)

  const pod = podPaths(layout, podUID)
  const container = containerPaths(layout, id)
  const record = join(pod.mounts, `${id}.json`)
  for (const dir of [pod.mounts, pod.releases, container.dir]) mkdirSync(dir, { recursive: true })
  forgetUnmounted(layout, podUID)
  // runc's exec changes to this path in the host's namespace: it must exist there too.
  mkdirSync(target, { recursive: true })
  const hostRoots = openSync(dirname(target), O_PATH | constants.O_DIRECTORY)
  try {
    writeJson(
      record,
      recordOf(
        id,
        now,
        overlays.map((overlay) => ({ overlay, loop: null })),
      ),
    )
    symlinkSync(record, container.mount)
    const mounted = mountRoot({
      target,
      lockDir: lockDir(layout),
      skeleton: { fd: openSquashfs(skeleton), path: skeleton },
      base: { ...base, reference: ticket.image.reference, digest: ticket.image.digest },
      overlays,
      ephemeral: ticket.ephemeral ? volumeSource(volumes, ticket.ephemeral.mountPath) : undefined,
      mountLabel: config.linux?.mountLabel ?? '',
    })
    writeJson(record, recordOf(id, now, mounted))
    held.release()

    const user = effectiveUser(target, ticket)
    assertNotRoot(ticket, user)
    if (!sameUser(user, config.process.user)) writeJson(container.user, user)
    writeConfig(bundle, mainConfig(config, { root: target, user, init }))
  } catch (error) {
    undo(layout, id, hostRoots)
    throw error
  }
}

const createPrepare = (layout: NodeLayout, bundle: string, podUID: string, config: OciConfig): void => {
  const paths = podPaths(layout, podUID)
  mkdirSync(paths.progress, { recursive: true })
  // Whoever `prepare` runs as must be able to read what it tails.
  chmodSync(paths.progress, 0o755)
  const volumes = [...ourVolumes(config)].map(([mountPath, source]) => ({ mountPath, source }))
  writeJson(paths.volumes, { volumes })
  writeConfig(bundle, prepareConfig(config, { progress: paths.progress }))
}

/** Does our part of `create`; what is left is runc's, with the same arguments, in the namespace that this leaves. */
export const create = (
  layout: NodeLayout,
  { id, bundle = '.' }: Invocation,
  now: Date,
  waits: Waits = defaultWaits,
): void => {
  const config = readConfig(bundle)
  const { role, podUID } = identify(config)
  if (role === 'main') createMain(layout, { id, bundle }, { podUID, config }, waits, now)
  if (role === 'prepare') createPrepare(layout, bundle, podUID, config)
}
