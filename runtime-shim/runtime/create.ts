import { chmodSync, closeSync, constants, mkdirSync, openSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { type OpenOverlay, type OverlaySource, openOverlays, openSquashfs } from '../mount/images.ts'
import type { LoopAttachment } from '../mount/loop.ts'
import { mountRoot, type RootParts } from '../mount/root.ts'
import { type NodeLayout, podPaths, rootPath } from '../node/layout.ts'
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
  writeConfig,
} from './bundle.ts'
import { awaitTicket, containerPaths, writeJson } from './state.ts'
import { resolveUserIn, UserError } from './user.ts'

/** Under the two minutes that the kubelet gives the request. */
const ticketWait = { waitMs: 100_000, finalMs: 3_000 }
/** A predecessor's flush at its end may be long: it holds the lock until all is on disk. */
const lockWaitMs = 30_000

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

const mountRecord = (
  id: string,
  now: Date,
  mounted: { overlay: OpenOverlay; loop: LoopAttachment }[],
): MountRecord => ({
  containerID: id,
  createTime: now.toISOString(),
  overlays: mounted.map(({ overlay: { source, path, stats }, loop }) => ({
    name: source.name,
    uid: source.uid,
    access: source.access,
    path,
    dev: stats.dev,
    ino: stats.ino,
    loop,
  })),
})

const effectiveUser = (target: string, ticket: Ticket, config: OciConfig): ProcessUser => {
  const { user } = config.process
  if (ticket.imageUser === null) return user
  const root = openSync(target, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    return resolveUserIn(root, ticket.imageUser, ticket.podGroups)
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

const createMain = (
  layout: NodeLayout,
  { id }: Invocation,
  bundle: string,
  podUID: string,
  config: OciConfig,
  now: Date,
): void => {
  const volumes = ourVolumes(config)
  const held = awaitTicket(layout, podUID, ticketWait)
  const { ticket } = held
  const target = rootPath(layout, id)
  const skeleton = join(layout.installDir, 'lib', 'skeleton.squashfs')
  const parts: RootParts = {
    target,
    lockDir: join(layout.stateDir, 'locks'),
    skeleton: { fd: openSquashfs(skeleton), path: skeleton },
    base: { fd: openSquashfs(ticket.image.squashfs), path: ticket.image.squashfs, ...ticket.image },
    overlays: openOverlays(overlaySources(ticket, volumes), lockWaitMs),
    ephemeral: ticket.ephemeral ? volumeSource(volumes, ticket.ephemeral.mountPath) : undefined,
    mountLabel: config.linux?.mountLabel ?? '',
  }
  held.release()

  // runc's exec changes to this path in the host's namespace: it must exist there too.
  mkdirSync(target, { recursive: true })
  const record = join(podPaths(layout, podUID).mounts, `${id}.json`)
  const paths = containerPaths(layout, id)
  mkdirSync(paths.dir, { recursive: true })

  const mounted = mountRoot(parts)
  writeJson(record, mountRecord(id, now, mounted))
  symlinkSync(record, paths.mount)
  const user = effectiveUser(target, ticket, config)
  assertNotRoot(ticket, user)
  if (ticket.imageUser !== null) writeJson(paths.user, user)
  writeConfig(bundle, mainConfig(config, { root: target, user, init: join(layout.installDir, 'lib', 'catatonit') }))
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
export const create = (layout: NodeLayout, invocation: Invocation, now: Date): void => {
  const bundle = invocation.bundle ?? '.'
  const config = readConfig(bundle)
  const { role, podUID } = identify(config)
  if (role === 'main') createMain(layout, invocation, bundle, podUID, config, now)
  if (role === 'prepare') createPrepare(layout, bundle, podUID, config)
}
