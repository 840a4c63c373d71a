import { join } from 'node:path'
import type { AttachedFile } from '../../mount/loop.ts'
import type { NodeLayout } from '../../node/layout.ts'
import type { MountRecord, RecordedOverlay } from '../../node/ticket.ts'

/** What may bear witness to a pod's mounts. */
export interface Witnesses {
  /** Loop devices of the node that have a file now. */
  attached: readonly AttachedFile[]
  /** The pod's own records. */
  own: readonly MountRecord[]
  /** Records of pods of the node that are not released yet. */
  others: readonly MountRecord[]
}

/** A mount of the pod's that the kernel still has: the overlay's name, or the image's path where there is no record. */
export interface HeldMount {
  what: string
}

const isOf =
  ({ loop, path }: Pick<RecordedOverlay, 'loop' | 'path'>) =>
  (file: AttachedFile): boolean =>
    loop === null ? file.path === path : file.number === loop.number && file.diskseq === loop.diskseq

const overlaysOf = (records: readonly MountRecord[]): RecordedOverlay[] => records.flatMap(({ overlays }) => overlays)

/**
 * Which mounts of a pod are not proved gone. Readers share a loop device, so it
 * may outlive the one that attached it: it is then held by another pod that has
 * it on record, and that pod's release waits for its end. A writer's device is
 * its own. A device that shows an image in one of the pod's volumes counts also
 * without a record, which may be lost.
 *
 * Whoever takes "none" for an answer makes the pod's own records void at once:
 * else two readers would each leave the device to the other.
 */
export const heldMounts = (
  { kubeletDir }: Pick<NodeLayout, 'kubeletDir'>,
  podUID: string,
  { attached, own, others }: Witnesses,
): HeldMount[] => {
  const othersReaders = overlaysOf(others).filter(({ access, loop }) => access === 'ReadOnly' && loop !== null)
  const unshared = attached.filter((file) => !othersReaders.some((overlay) => isOf(overlay)(file)))
  const writers = overlaysOf(own).filter((overlay) => overlay.access === 'ReadWrite' && attached.some(isOf(overlay)))
  const readers = overlaysOf(own).filter((overlay) => overlay.access === 'ReadOnly' && unshared.some(isOf(overlay)))
  const recorded = overlaysOf(own)
  const volumes = `${join(kubeletDir, 'pods', podUID)}/`
  const strays = unshared.filter(
    (file) => file.path.startsWith(volumes) && !recorded.some((overlay) => isOf(overlay)(file)),
  )
  const names = [...writers, ...readers].map(({ name }) => `overlay "${name}"`)
  return [...names, ...strays.map(({ path }) => path)].map((what) => ({ what }))
}
