import { closeSync, fstatSync, ftruncateSync, openSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { mebibytes } from '../../../kube/quantity.ts'
import { isClaimed, openDevice } from '../../mount/device.ts'
import { isAttached } from '../../mount/loop.ts'
import { openFileIn } from '../../mount/open.ts'
import { readSuperblock } from '../../mount/superblock.ts'
import { ioctl } from '../../mount/syscalls.ts'
import { deviceSize, usableBytes } from '../../mount/undertaking.ts'
import type { RecordedOverlay } from '../../node/ticket.ts'
import { type Geometry, growthLimit, metadataBytes, reachableBlocks, readGeometry } from './geometry.ts'
import { ensureRoom, reserve } from './reserve.ts'
import { runWorker } from './run-worker.ts'

export interface MountedGrowth {
  /** A writer's mount, of an overlay that Lamina made (format Image). */
  record: RecordedOverlay
  /** Bytes, as `spec.size` asks; of no meaning on a block volume, of which all is used. */
  size: number
  /** `spec.ext3.allocation` is Sparse: the image grows without taking blocks. */
  sparse: boolean
  /** Locks of the node ({@link ../../node/layout.ts}). */
  lockDir: string
  /** The program {@link ./worker/main.ts}. */
  worker: string
}

export type GrowthOutcome =
  /** It has so many bytes now. */
  | { kind: 'grown'; bytes: number }
  /** It is as large already. */
  | { kind: 'enough' }
  /** It cannot be grown while it is mounted; the next start does it. */
  | { kind: 'later'; why: string }
  /** No start can grow it so far either. */
  | { kind: 'never'; why: string }

const later = (why: string): GrowthOutcome => ({ kind: 'later', why })

const LOOP_SET_CAPACITY = 0x4c07

/** Opens the image that was mounted, and nothing else that may be in its place. */
const openImage = ({ path, dev, ino }: RecordedOverlay): number | undefined => {
  const { fd, stats } = openFileIn(dirname(path), basename(path), 'write', path)
  if (String(stats.dev) === dev && String(stats.ino) === ino) return fd
  closeSync(fd)
  return undefined
}

/** The image is made larger, then the loop device takes notice. */
const enlarge = async (loop: number, geometry: Geometry, growth: MountedGrowth): Promise<boolean> => {
  const { record, size, sparse } = growth
  const image = openImage(record)
  if (image === undefined) return false
  try {
    const where = { overlay: record.name, directory: dirname(record.path) }
    if (!sparse) await reserve(image, size, where)
    else {
      ensureRoom(image, size, metadataBytes(geometry, size), where)
      if (fstatSync(image).size < size) ftruncateSync(image, size)
    }
    ioctl(loop, LOOP_SET_CAPACITY, 0)
    return true
  } finally {
    closeSync(image)
  }
}

const growOn = async (device: number, bytes: number, growth: MountedGrowth): Promise<GrowthOutcome> => {
  const { record, lockDir, worker } = growth
  const geometry = readGeometry(device)
  const blocks = reachableBlocks(geometry, bytes)
  if (geometry.blocks >= blocks) return { kind: 'enough' }
  const limit = growthLimit(geometry)
  if (blocks > limit) {
    const why = `it was made to grow to ${mebibytes(limit * geometry.blockSize)} at most: make a larger overlay and copy what you need`
    return { kind: 'never', why }
  }
  if (readSuperblock(device).errorCount > 0) return later('the kernel noted errors in it')
  if (record.loop && !(await enlarge(device, geometry, growth))) return later('its image is no longer where it was')
  const { error, code } = await runWorker(worker, { fd: device }, { kind: 'grow', blocks, mountAt: lockDir })
  if (error === undefined) return { kind: 'grown', bytes: blocks * geometry.blockSize }
  return later(code === 'EPERM' ? 'the kernel does not let the agent do it (CAP_SYS_RESOURCE)' : error)
}

/** Keeps it attached, or from being given to another: undefined when it is not the one on record any more. */
const openMounted = ({ loop, device, path }: RecordedOverlay): number | undefined => {
  if (device) {
    const fd = openDevice(path, device, 'write').fd
    if (isClaimed(fd)) return fd
    closeSync(fd)
    return undefined
  }
  if (!loop || !isAttached(loop)) return undefined
  const fd = openSync(`/dev/loop${loop.number}`, 'r+')
  if (isAttached(loop)) return fd
  closeSync(fd)
  return undefined
}

/**
 * Grows an overlay that is mounted, while it is written to: the image behind it
 * first, then the file system by the kernel's own doing (EXT4_IOC_RESIZE_FS),
 * which its journal keeps safe. The container notices nothing but room.
 *
 * To be called for a running writer whose `spec.size` exceeds the file system, or
 * whose block device has grown; one at a time for an overlay (`onePerOverlay`).
 * After `later` and `never` there is no use in asking again before the next start.
 *
 * @throws Trouble OverlayNoSpace when the volume has no room; everything is as before
 */
export const growMounted = async (growth: MountedGrowth): Promise<GrowthOutcome> => {
  const { record, size } = growth
  if (record.ext3Offset !== 0) return later('it is not the only one in its file')
  const fd = openMounted(record)
  if (fd === undefined) return later('it is not mounted any more')
  try {
    const bytes = record.device ? usableBytes(deviceSize(record.device)) : size
    return await growOn(fd, bytes, growth)
  } finally {
    closeSync(fd)
  }
}
