import { type BigIntStats, closeSync, fstatSync, openSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { hasCode } from './error-code.ts'
import { withNamedLock } from './named-lock.ts'
import type { Extent } from './parts.ts'
import { ioctl } from './syscalls.ts'
import { retrySync } from './wait.ts'

/**
 * Loop devices (loop(4)). A device is configured with autoclear: it goes when
 * the last mount or descriptor of it goes, and with it the open image file and
 * the locks on that.
 *
 * A lock is taken around finding, attaching and mounting, so that two starts never
 * race for one device or one file.
 */

/** An attachment: the number may be given to another file later, the sequence number (`diskseq`) never. */
export interface LoopAttachment {
  number: number
  diskseq: string
}

export interface OpenLoop extends LoopAttachment {
  /** Keeps the attachment until the device is mounted; to be closed then. */
  fd: number
  path: string
}

const LOOP_CTL_GET_FREE = 0x4c82
const LOOP_CONFIGURE = 0x4c0a
const LOOP_GET_STATUS64 = 0x4c05
const LO_FLAGS_READ_ONLY = 1
const LO_FLAGS_AUTOCLEAR = 4
const LO_FLAGS_DIRECT_IO = 16

/** Offsets in `struct loop_config` and `struct loop_info64` (linux/loop.h). */
const info = { size: 232, device: 0, inode: 8, offset: 24, sizeLimit: 32, flags: 52, fileName: 56, fileNameLength: 63 }
const config = { size: 304, blockSize: 4, info: 8 }

const sysBlock = '/sys/block'

/** An attribute of a loop device in sysfs; undefined when the device or the attachment has gone. */
const attribute = (device: string, name: string): string | undefined => {
  try {
    return readFileSync(join(sysBlock, device, name), 'utf8').trimEnd()
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENODEV')) return undefined
    throw error
  }
}

/** The attachment's sequence number (sysfs `diskseq`), or undefined while nothing is attached. */
const currentDiskseq = (number: number): string | undefined => {
  const device = `loop${number}`
  return attribute(device, 'loop/backing_file') === undefined ? undefined : attribute(device, 'diskseq')
}

/** Whether that very attachment is still there. Reads sysfs only: an open descriptor would delay the autoclear. */
export const isAttached = ({ number, diskseq }: LoopAttachment): boolean => currentDiskseq(number) === diskseq

/** What a device shows of its file. No size limit where the part ends with the file: the device can then grow with it. */
interface Window {
  offset: bigint
  sizeLimit: bigint
  sectors: bigint
}

const sectorSize = 512n

const windowOf = ({ offset, size }: Extent, { size: fileSize }: BigIntStats): Window => ({
  offset: BigInt(offset),
  sizeLimit: BigInt(offset + size) === fileSize ? 0n : BigInt(size),
  sectors: BigInt(size) / sectorSize,
})

/** How a device passes on what is read and written. */
export type LoopAccess =
  | { kind: 'read' }
  | { kind: 'write' }
  /**
   * Past the page cache, where the file's own file system lets it: what is written is cached once, above the device.
   * `sectorSize`: of the device; both parts of its window must be multiples, and the file system's blocks as large.
   */
  | { kind: 'writeDirectly'; sectorSize: 512 | 4096 }

interface Attachment {
  /** For those who look at loop devices: the file's. */
  name: string
  access: LoopAccess
  window: Window
}

const flagsOf = ({ kind }: LoopAccess): number => {
  if (kind === 'read') return LO_FLAGS_AUTOCLEAR | LO_FLAGS_READ_ONLY
  return kind === 'write' ? LO_FLAGS_AUTOCLEAR : LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO
}

const configure = (fd: number, { name, access, window }: Attachment, number: number): OpenLoop => {
  const path = `/dev/loop${number}`
  const device = openSync(path, access.kind === 'read' ? 'r' : 'r+')
  try {
    const bytes = Buffer.alloc(config.size)
    bytes.writeUInt32LE(fd, 0)
    bytes.writeBigUInt64LE(window.offset, config.info + info.offset)
    bytes.writeBigUInt64LE(window.sizeLimit, config.info + info.sizeLimit)
    if (access.kind === 'writeDirectly') bytes.writeUInt32LE(access.sectorSize, config.blockSize)
    bytes.writeUInt32LE(flagsOf(access), config.info + info.flags)
    bytes.write(name.slice(0, info.fileNameLength), config.info + info.fileName)
    ioctl(device, LOOP_CONFIGURE, bytes)
    const diskseq = currentDiskseq(number)
    if (diskseq === undefined) throw new Error(`${path} lost its file as soon as it was attached`)
    return { number, diskseq, fd: device, path }
  } catch (error) {
    closeSync(device)
    throw error
  }
}

const attach = (fd: number, lockDir: string, attachment: Attachment): OpenLoop =>
  withNamedLock(lockDir, 'loop-control', () =>
    retrySync(
      () => {
        const control = openSync('/dev/loop-control', 'r+')
        try {
          return configure(fd, attachment, ioctl(control, LOOP_CTL_GET_FREE, 0))
        } finally {
          closeSync(control)
        }
      },
      // Others on the machine, losetup among them, do not take our lock.
      (error) => hasCode(error, 'EBUSY', 'ENXIO', 'EIO', 'ENOENT'),
      { forMs: 5_000, everyMs: 2 },
    ),
  )

/** The part of an open file that a device is to show. */
export interface LoopFile {
  fd: number
  name: string
  extent: Extent
  lockDir: string
}

/** Attaches a part of an open file to a free device. The device keeps `fd`'s open file description and its locks. */
export const attachLoop = ({ fd, name, extent, lockDir }: LoopFile, access: LoopAccess): OpenLoop =>
  attach(fd, lockDir, { name, access, window: windowOf(extent, fstatSync(fd, { bigint: true })) })

/** What a shared device is called. Nodes may share a kernel, as containers that play nodes do; those who share devices share their locks. */
const sharersOf = (lockDir: string): string => {
  const { dev, ino } = statSync(lockDir, { bigint: true })
  return `lamina ${dev}-${ino}`
}

const nameIn = (bytes: Buffer): string =>
  bytes.toString('latin1', info.fileName, info.fileName + info.fileNameLength).replace(/\0.*/s, '')

interface Shown {
  file: BigIntStats
  window: Window
  sharers: string
}

const shows = (device: number, { file: { dev, ino }, window, sharers }: Shown): boolean => {
  const bytes = Buffer.alloc(info.size)
  try {
    ioctl(device, LOOP_GET_STATUS64, bytes)
  } catch (error) {
    if (hasCode(error, 'ENXIO')) return false
    throw error
  }
  return (
    bytes.readBigUInt64LE(info.device) === dev &&
    bytes.readBigUInt64LE(info.inode) === ino &&
    bytes.readBigUInt64LE(info.offset) === window.offset &&
    bytes.readBigUInt64LE(info.sizeLimit) === window.sizeLimit &&
    nameIn(bytes) === sharers
  )
}

const loopDevices = (): string[] => readdirSync(sysBlock).filter((entry) => /^loop\d+$/.test(entry))

/** A loop device with the file that it shows, by the path that it was opened by. */
export interface AttachedFile extends LoopAttachment {
  path: string
}

const deleted = ' (deleted)'

/** All loop devices of the machine that have a file. Reads sysfs only. */
export const attachedFiles = (): AttachedFile[] =>
  loopDevices().flatMap((device) => {
    const path = attribute(device, 'loop/backing_file')
    const diskseq = attribute(device, 'diskseq')
    if (path === undefined || diskseq === undefined) return []
    const number = Number(device.slice('loop'.length))
    return [{ number, diskseq, path: path.endsWith(deleted) ? path.slice(0, -deleted.length) : path }]
  })

/** Read-only devices that may be of the file: sysfs tells name and size, and only an open descriptor tells the inode. */
const candidates = (fileName: string, { sectors }: Window): number[] =>
  loopDevices()
    .filter((device) => basename(attribute(device, 'loop/backing_file') ?? '') === fileName)
    .filter((device) => attribute(device, 'size') === String(sectors))
    .filter((device) => attribute(device, 'ro') === '1')
    .map((device) => Number(device.slice('loop'.length)))

const findReadOnly = (fileName: string, shown: Shown): OpenLoop | undefined => {
  for (const number of candidates(fileName, shown.window)) {
    const path = `/dev/loop${number}`
    const fd = openSync(path, 'r')
    const diskseq = currentDiskseq(number)
    if (diskseq !== undefined && shows(fd, shown)) return { number, diskseq, fd, path }
    closeSync(fd)
  }
  return undefined
}

/**
 * One read-only device a node for each part of a file: finds the one there is, or
 * attaches, and calls `mountIt` under the file's lock, so that no autoclear comes
 * between. Sharing the device shares the superblock and the page cache.
 */
export const withSharedLoop = (
  { fd, name, extent, lockDir }: LoopFile,
  mountIt: (loop: OpenLoop) => void,
): LoopAttachment => {
  const file = fstatSync(fd, { bigint: true })
  const window = windowOf(extent, file)
  return withNamedLock(lockDir, `${file.dev}-${file.ino}`, () => {
    const sharers = sharersOf(lockDir)
    const loop =
      findReadOnly(name, { file, window, sharers }) ??
      attach(fd, lockDir, { name: sharers, access: { kind: 'read' }, window })
    try {
      mountIt(loop)
    } finally {
      closeSync(loop.fd)
    }
    return { number: loop.number, diskseq: loop.diskseq }
  })
}
