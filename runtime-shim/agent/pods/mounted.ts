import { basename, join } from 'node:path'
import type { AttachedFile } from '../../mount/loop.ts'
import { lockFileName } from '../../mount/names.ts'
import type { DeviceNumbers } from '../../mount/parts.ts'
import type { NodeLayout } from '../../node/layout.ts'
import type { MountRecord, RecordedOverlay } from '../../node/ticket.ts'

/** A loop device that has a file, and whether it is for reading only. */
export interface Attached extends AttachedFile {
  readOnly: boolean
}

/** What may bear witness to a pod's mounts. */
export interface Witnesses {
  /** Loop devices of the node that have a file now. */
  attached: readonly Attached[]
  /** Of the block volumes on the pod's own records: those that are mounted now. */
  mountedDevices: readonly DeviceNumbers[]
  /** The pod's own records. */
  own: readonly MountRecord[]
  /** Records of pods of the node that are not released yet. */
  others: readonly MountRecord[]
}

/** A mount of the pod's that the kernel still has: the overlay's name, or the image's path where there is no record. */
export interface HeldMount {
  what: string
}

type Witness = Pick<RecordedOverlay, 'loop' | 'device' | 'path'>

const isOf =
  ({ loop, device, path }: Witness) =>
  (file: AttachedFile): boolean => {
    if (loop !== null) return file.number === loop.number && file.diskseq === loop.diskseq
    return device === null && file.path === path
  }

const isDevice =
  ({ device }: Witness) =>
  ({ major, minor }: DeviceNumbers): boolean =>
    device?.major === major && device.minor === minor

const overlaysOf = (records: readonly MountRecord[]): RecordedOverlay[] => records.flatMap(({ overlays }) => overlays)

const isWriter = ({ access }: RecordedOverlay): boolean => access === 'ReadWrite'
const isReader = ({ access }: RecordedOverlay): boolean => access === 'ReadOnly'

/**
 * Who writes attaches a device that is not read-only, or the lock of an overlay of
 * format Directory. A read-only device alone says nothing: it may be an image on a
 * volume of the pod, which pods with the same volume share.
 */
const mayWrite = ({ readOnly, path }: Attached): boolean => !readOnly || basename(path) === lockFileName

/**
 * Which mounts of a pod are not proved gone. Readers share a device, so it may
 * outlive the one that attached it: it is then held by another pod that has it on
 * record, and that pod's release waits for its end. A writer's device is its own.
 * A loop device by which something may be written to a file in one of the pod's
 * volumes counts also without a record, which may be lost.
 *
 * Whoever takes "none" for an answer makes the pod's own records void at once:
 * else two readers would each leave the device to the other.
 */
export const heldMounts = (
  { kubeletDir }: Pick<NodeLayout, 'kubeletDir'>,
  podUID: string,
  { attached, mountedDevices, own, others }: Witnesses,
): HeldMount[] => {
  const recorded = overlaysOf(own)
  const othersReaders = overlaysOf(others).filter(isReader)
  const sharedLoops = othersReaders.filter(({ loop }) => loop !== null)
  const unshared = attached.filter((file) => !sharedLoops.some((overlay) => isOf(overlay)(file)))
  const unsharedDevices = mountedDevices.filter((device) => !othersReaders.some((overlay) => isDevice(overlay)(device)))
  const isHeld = (files: readonly AttachedFile[], devices: readonly DeviceNumbers[]) => (overlay: RecordedOverlay) =>
    files.some(isOf(overlay)) || devices.some(isDevice(overlay))
  const writers = recorded.filter(isWriter).filter(isHeld(attached, mountedDevices))
  const readers = recorded.filter(isReader).filter(isHeld(unshared, unsharedDevices))
  const volumes = `${join(kubeletDir, 'pods', podUID)}/`
  const strays = unshared.filter(
    (file) => file.path.startsWith(volumes) && mayWrite(file) && !recorded.some((overlay) => isOf(overlay)(file)),
  )
  const names = [...writers, ...readers].map(({ name }) => `overlay "${name}"`)
  return [...names, ...strays.map(({ path }) => path)].map((what) => ({ what }))
}
