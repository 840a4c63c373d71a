import { type Clock, pause } from '../../../kube/clock.ts'
import { pendingReason } from '../../../kube/names.ts'
import type { Pod } from '../../../kube/resources.ts'
import { readJson } from '../../node/json-file.ts'
import { installedPaths, lockDir, podPaths } from '../../node/layout.ts'
import { volumesSchema } from '../../node/ticket.ts'
import type { CachedImage, ImageCache, WantedImage } from '../cache/images.ts'
import type { Preparation, PreparedOverlay } from '../overlay/preparation.ts'
import { workerProgram } from '../overlay/run-worker.ts'
import { volumeOf } from '../overlay/volume.ts'
import type { NodeServices } from '../services.ts'
import { Trouble } from '../trouble.ts'
import type { Granted, GrantedOverlay } from './chain.ts'
import { readUrl } from './file-url.ts'
import { createPendingTeller } from './pending.ts'
import type { Progress } from './progress.ts'
import { readPullSecrets, withAuthFile } from './pull-secrets.ts'
import type { OverlayReporter } from './report.ts'
import { refuse } from './ticket.ts'

/** Makes ready on the node what a pod has been granted: its image in the cache, its overlays made, grown and checked. */
export interface MountPreparer extends NodeServices {
  images: ImageCache
  /** Two readers may start at once on an overlay that was never made. */
  onePerOverlay<T>(overlayUID: string, act: () => Promise<T>): Promise<T>
  /** Undefined when the signal has ended it ({@link ../overlay/apart.ts}). */
  prepareOverlay(preparation: Preparation, signal: AbortSignal): Promise<PreparedOverlay | undefined>
  report: OverlayReporter
}

/** A pod that is made ready, until the signal says that it has begun to end. */
export interface Readying {
  pod: Pod
  progress: Progress
  signal: AbortSignal
}

/** The kubelet lays volumes down and starts `prepare` within a moment; what takes longer is tried again later. */
const waitMs = 20_000
const everyMs = 30

/**
 * Asks until there is an answer; undefined when the signal ends the wait.
 *
 * @throws Trouble when there is none in time
 */
const waitFor = async <T>(
  clock: Clock,
  signal: AbortSignal,
  ask: () => T | undefined,
  late: Trouble,
): Promise<T | undefined> => {
  for (let waited = 0; waited < waitMs && !signal.aborted; waited += everyMs) {
    const answer = ask()
    if (answer !== undefined) return answer
    await pause(clock, everyMs, signal)
  }
  if (signal.aborted) return undefined
  throw late
}

/** Whether a start has not to wait for the image. One on a volume comes with the pod. */
export const isThere = (images: ImageCache, { volume, digest }: Pick<Granted['image'], 'volume' | 'digest'>): boolean =>
  volume !== null || images.find(digest) !== undefined

/** Files on volumes have no configuration that could name another user than root. */
const onVolume: CachedImage = { user: '' }

/** The image in the cache, or on its volume; undefined when the pod ends before. */
export const ensureImage = async (
  { client, layout, clock, log, images }: Pick<MountPreparer, 'client' | 'layout' | 'clock' | 'log' | 'images'>,
  { pod, progress, signal }: Readying,
  image: Granted['image'] & Pick<WantedImage, 'url' | 'beforehand'>,
): Promise<CachedImage | undefined> => {
  const present = image.volume ? onVolume : images.use(image)
  if (present) return present
  const paths = podPaths(layout, pod.metadata.uid)
  const pending = createPendingTeller({ client, clock, log }, pod)
  // The runtime repeats it when a fetch takes longer than it may wait.
  const tell = (line: string): void => {
    const message = `the image is being fetched: ${line}`
    progress.line(line)
    refuse(paths, { reason: pendingReason, message, final: false })
    pending.line(message)
  }
  const late = new Trouble('ImagePullSecretPending', 'the kubelet has not laid down the pull secrets of the image yet')
  const secrets = await waitFor(clock, signal, () => readPullSecrets(layout, pod), late)
  const url = image.url ?? (await readUrl(client, pod, image))
  if (!secrets) return undefined
  const wanted: WantedImage = {
    ...{ ...image, url, namespace: pod.metadata.namespace },
    withAuthFile: (act) => withAuthFile(secrets, layout, act),
    onProgress: tell,
  }
  try {
    return await images.ensure(wanted, signal)
  } catch (error) {
    pending.takeBack()
    throw error
  } finally {
    await pending.end()
  }
}

/** What `prepare` waits for: overlays that are written, and those that were never made. */
const toPrepare = (overlays: readonly GrantedOverlay[]): GrantedOverlay[] =>
  overlays.filter(({ access, made }) => access === 'ReadWrite' || !made)

/** What nobody can mend but a person: an overlay that was there is not any more, or is something else. */
const lossReasons = new Set(['OverlayMissing', 'OverlayNotExt3', 'OverlayUnsafe'])

const damageIn = (error: unknown, { made }: GrantedOverlay): string | undefined =>
  made && error instanceof Trouble && lossReasons.has(error.reason) ? error.message : undefined

/** Makes, grows and checks the overlays that need it; ends early when the pod does. */
export const prepareOverlays = async (
  {
    layout,
    clock,
    onePerOverlay,
    prepareOverlay,
    report,
  }: Pick<MountPreparer, 'layout' | 'clock' | 'onePerOverlay' | 'prepareOverlay' | 'report'>,
  { pod, progress, signal }: Readying,
  overlays: readonly GrantedOverlay[],
): Promise<void> => {
  const wanted = toPrepare(overlays)
  if (wanted.length === 0) return
  const { uid: podUID, namespace } = pod.metadata
  const paths = podPaths(layout, podUID)
  const late = new Trouble('PreparePending', 'the kubelet has not started the container prepare yet')
  const volumes = await waitFor(clock, signal, () => readJson(paths.volumes, volumesSchema), late)
  for (const overlay of wanted) {
    if (!volumes || signal.aborted) return
    const { name, uid, access, format } = overlay
    const preparation: Preparation = {
      ...overlay,
      overlay: name,
      volume: volumeOf(layout, podUID, volumes, overlay),
      lockDir: lockDir(layout),
      skeleton: installedPaths(layout).skeleton,
      worker: workerProgram(),
      onProgress: progress.line,
    }
    const inUse = { namespace, name, uid, instance: pod.metadata.name }
    const found = await onePerOverlay(uid, () => prepareOverlay(preparation, signal)).catch(async (error: unknown) => {
      const damaged = damageIn(error, overlay)
      if (damaged !== undefined) await report(inUse, () => ({ damaged }))
      throw error
    })
    if (!found) return
    // To tell of it would say that it has been made or taken over.
    if (found.inUse) continue
    const ofVolume = format === 'Directory'
    await report(inUse, () => ({ ...found, ofVolume }))
    if (found.damaged !== undefined && access === 'ReadWrite') throw new Trouble('OverlayDamaged', found.damaged)
  }
}
