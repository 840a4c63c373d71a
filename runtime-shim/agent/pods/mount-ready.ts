import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { KubeClient } from '../../../kube/client.ts'
import { type Clock, pause } from '../../../kube/clock.ts'
import type { Pod } from '../../../kube/resources.ts'
import { DockerConfigError } from '../../image/docker-config.ts'
import { readJson } from '../../node/json-file.ts'
import { type NodeLayout, podPaths } from '../../node/layout.ts'
import { volumesSchema } from '../../node/ticket.ts'
import type { CachedImage, ImageCache } from '../cache/images.ts'
import { prepareOverlay } from '../overlay/prepare.ts'
import { reportOverlay } from '../report.ts'
import { Trouble } from '../trouble.ts'
import type { Granted, GrantedOverlay } from './chain.ts'
import type { Progress } from './progress.ts'
import { readPullSecrets, withAuthFile } from './pull-secrets.ts'

/** Makes ready on the node what a pod has been granted: its image in the cache, its overlays made, grown and checked. */
export interface MountPreparer {
  layout: NodeLayout
  client: KubeClient
  clock: Clock
  images: ImageCache
}

/** The kubelet lays volumes down and starts `prepare` within a moment; what takes longer is tried again later. */
const waitMs = 20_000
const everyMs = 30

/** Asks until there is an answer. @throws Trouble when there is none in time, or the signal ends the wait */
const waitFor = async <T>(clock: Clock, signal: AbortSignal, ask: () => T | undefined, late: Trouble): Promise<T> => {
  for (let waited = 0; waited < waitMs && !signal.aborted; waited += everyMs) {
    const answer = ask()
    if (answer !== undefined) return answer
    await pause(clock, everyMs, signal)
  }
  throw late
}

export const ensureImage = async (
  { layout, clock, images }: MountPreparer,
  pod: Pod,
  image: Granted['image'],
  progress: Progress,
  signal: AbortSignal,
): Promise<CachedImage> => {
  if (images.digests().includes(image.digest)) {
    return images.ensure({ ...image, authFile: undefined, onProgress: () => {} })
  }
  const late = new Trouble('ImagePullSecretPending', 'the kubelet has not laid down the pull secrets of the image yet')
  const secrets = await waitFor(clock, signal, () => readPullSecrets(layout, pod), late)
  const scratch = join(layout.stateDir, 'auth')
  mkdirSync(scratch, { recursive: true, mode: 0o700 })
  try {
    return await withAuthFile(secrets, scratch, (authFile) =>
      images.ensure({ ...image, authFile, onProgress: progress.line }),
    )
  } catch (error) {
    if (!(error instanceof DockerConfigError)) throw error
    throw new Trouble('ImagePullSecretInvalid', error.message, { cause: error })
  }
}

/** Where the runtime was told that the volume is, if that is among the pod's own volumes. */
const directoryOf = (
  layout: NodeLayout,
  podUID: string,
  volumes: readonly { mountPath: string; source: string }[],
  { name, mountPath }: GrantedOverlay,
): string => {
  const source = volumes.find((volume) => volume.mountPath === mountPath)?.source
  const own = join(layout.kubeletDir, 'pods', podUID, 'volumes')
  if (source?.startsWith(`${own}/`) && !source.split('/').includes('..')) return source
  throw new Trouble('OverlayUnsafe', `overlay "${name}": its volume is not below ${own}`)
}

/** Runs what `prepare` waits for. Readers find the image as a writer left it. */
export const prepareOverlays = async (
  { layout, client, clock }: MountPreparer,
  pod: Pod,
  overlays: readonly GrantedOverlay[],
  progress: Progress,
  signal: AbortSignal,
): Promise<void> => {
  const { uid: podUID, namespace } = pod.metadata
  const paths = podPaths(layout, podUID)
  const late = new Trouble('PreparePending', 'the kubelet has not started the container prepare yet')
  const { volumes } = await waitFor(clock, signal, () => readJson(paths.volumes, volumesSchema), late)
  for (const overlay of overlays.filter(({ access }) => access === 'ReadWrite')) {
    const { name, uid, size } = overlay
    const directory = directoryOf(layout, podUID, volumes, overlay)
    const found = await prepareOverlay({ overlay: name, directory, size, onProgress: progress.line })
    await reportOverlay(client, { namespace, name, uid }, found, clock.now())
  }
}
