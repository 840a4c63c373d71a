import { type BigIntStats, closeSync, fstatSync, openSync, readdirSync, readFileSync } from 'node:fs'
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

/** Offsets in `struct loop_config` and `struct loop_info64` (linux/loop.h). */
const info = { size: 232, device: 0, inode: 8, offset: 24, sizeLimit: 32, flags: 52, fileName: 56, fileNameLength: 63 }
const config = { size: 304, info: 8 }

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

interface Attachment {
  /** For those who look at loop devices: the file's. */
  name: string
  readOnly: boolean
  window: Window
}

const configure = (fd: number, { name, readOnly, window }: Attachment, number: number): OpenLoop => {
  const path = `/dev/loop${number}`
  const device = openSync(path, readOnly ? 'r' : 'r+')
  try {
    const bytes = Buffer.alloc(config.size)
    bytes.writeUInt32LE(fd, 0)
    bytes.writeBigUInt64LE(window.offset, config.info + info.offset)
    bytes.writeBigUInt64LE(window.sizeLimit, config.info + info.sizeLimit)
    bytes.writeUInt32LE(LO_FLAGS_AUTOCLEAR | (readOnly ? LO_FLAGS_READ_ONLY : 0), config.info + info.flags)
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
export const attachLoop = ({ fd, name, extent, lockDir }: LoopFile, readOnly: boolean): OpenLoop =>
  attach(fd, lockDir, { name, readOnly, window: windowOf(extent, fstatSync(fd, { bigint: true })) })

const shows = (device: number, { dev, ino }: BigIntStats, window: Window): boolean => {
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
    bytes.readBigUInt64LE(info.sizeLimit) === window.sizeLimit
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

const findReadOnly = (fileName: string, file: BigIntStats, window: Window): OpenLoop | undefined => {
  for (const number of candidates(fileName, window)) {
    const path = `/dev/loop${number}`
    const fd = openSync(path, 'r')
    const diskseq = currentDiskseq(number)
    if (diskseq !== undefined && shows(fd, file, window)) return { number, diskseq, fd, path }
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
    const loop = findReadOnly(name, file, window) ?? attach(fd, lockDir, { name, readOnly: true, window })
    try {
      mountIt(loop)
    } finally {
      closeSync(loop.fd)
    }
    return { number: loop.number, diskseq: loop.diskseq }
  })
}
