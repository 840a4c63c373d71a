import { closeSync, constants, readFileSync, readlinkSync } from 'node:fs'
import { type FileHandle, open, statfs } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { assertNumbers } from '../../mount/device.ts'
import { hasCode } from '../../mount/error-code.ts'
import { isAttached } from '../../mount/loop.ts'
import { descriptorPath } from '../../mount/open.ts'
import { parseSuperblock, superblockAt } from '../../mount/superblock.ts'
import type { Figures, RecordedOverlay } from '../../node/ticket.ts'
import { openContainer } from './container.ts'
import type { RunningOverlay } from './running.ts'

/** What the kernel tells of an overlay while it is mounted. The superblock on disk lags behind until then. */
export interface Probed {
  figures: Figures
  /** The kernel has stopped writing to it, after an error. */
  readOnly: boolean
  /** Format Directory: the figures are of the volume's whole file system. */
  ofVolume: boolean
}

const ext4Attributes = '/sys/fs/ext4'
/** Has the mount options that are in force, one a line. */
const ext4Options = '/proc/fs/ext4'

const readIfThere = (path: string): string | undefined => {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENODEV')) return undefined
    throw error
  }
}

/** The kernel's name of the block device that is mounted; undefined when the record's loop device is another's by now. */
const deviceOf = ({ loop, device }: RecordedOverlay): string | undefined => {
  if (loop) return isAttached(loop) ? `loop${loop.number}` : undefined
  if (!device) return undefined
  try {
    return basename(readlinkSync(`/sys/dev/block/${device.major}:${device.minor}`))
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
}

/** From 6.15 on the kernel says `emergency_ro`, before that it made the mount `ro` (fs/ext4/super.c). */
const isReadOnly = (device: string): boolean => {
  const options = readIfThere(join(ext4Options, device, 'options'))?.split('\n') ?? []
  return options.includes('ro') || options.includes('emergency_ro')
}

const openMounted = async ({ loop, device, path }: RecordedOverlay): Promise<FileHandle | undefined> => {
  if (!loop && !device) return undefined
  const file = await open(loop ? `/dev/loop${loop.number}` : path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    if (device) assertNumbers(await file.stat({ bigint: true }), path, device)
    if (!loop || isAttached(loop)) return file
  } catch (error) {
    await file.close()
    throw error
  }
  await file.close()
  return undefined
}

/**
 * How many blocks the file system has, its own included: those statfs(2) leaves
 * out, and this number alone is never stale on disk. Read from the device that is
 * mounted, whose superblock the kernel keeps in memory: the image may lie on a
 * volume that does not answer any more.
 *
 * @returns undefined when it cannot be read any more
 */
export const readBlocks = async (record: RecordedOverlay): Promise<number | undefined> => {
  if (record.ext3Offset === null) return undefined
  try {
    await using file = await openMounted(record)
    if (!file) return undefined
    const { offset, size } = superblockAt(0)
    const { bytesRead, buffer } = await file.read(Buffer.alloc(size), 0, size, offset)
    return parseSuperblock(buffer.subarray(0, bytesRead)).blocks
  } catch {
    // It has just been let go; statfs(2) has a number too.
    return undefined
  }
}

/** OVERLAYFS_SUPER_MAGIC (linux/magic.h). */
const overlayfs = 0x794c7630

const rootStatistics = async (container: RunningOverlay['container'], hostRoot: string | undefined) => {
  const process = openContainer(container, hostRoot)
  if (process === undefined) return undefined
  try {
    const statistics = await statfs(`${descriptorPath(process)}/root`)
    // A process may have changed its root since.
    return statistics.type === overlayfs ? statistics : undefined
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ESRCH', 'EACCES')) return undefined
    throw error
  } finally {
    closeSync(process)
  }
}

/**
 * Asks the kernel, by the root of the container's first process: statfs(2) of an
 * overlayfs tells of its upper file system.
 *
 * @param blocks of the file system ({@link readBlocks}); what statfs(2) says where they are not known
 * @param hostRoot where the host's files are
 * @returns undefined when the container is not running
 */
export const probe = async (
  { container, record }: Pick<RunningOverlay, 'container' | 'record'>,
  blocks: number | undefined,
  hostRoot?: string,
): Promise<Probed | undefined> => {
  const device = deviceOf(record)
  if (device === undefined) return undefined
  const statistics = await rootStatistics(container, hostRoot)
  if (!statistics) return undefined
  const ofVolume = record.ext3Offset === null
  const errorCount = ofVolume ? 0 : Number(readIfThere(join(ext4Attributes, device, 'errors_count')) ?? 0)
  return {
    figures: {
      needsRecovery: false,
      errorCount,
      blockSize: statistics.bsize,
      blocks: blocks ?? statistics.blocks,
      freeBlocks: statistics.bfree,
      inodes: statistics.files,
      freeInodes: statistics.ffree,
    },
    readOnly: errorCount > 0 && isReadOnly(device),
    ofVolume,
  }
}
