import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { closeSync, fsync, openSync, readSync, unlinkSync } from 'node:fs'
import { promisify } from 'node:util'
import { mebibytes } from '../../../kube/quantity.ts'
import { isClaimed, openDevice } from '../../mount/device.ts'
import type { OverlayVolume } from '../../mount/parts.ts'
import { assertExt3, figuresOf, readSuperblock } from '../../mount/superblock.ts'
import { deviceSize, usableBytes } from '../../mount/undertaking.ts'
import { Trouble } from '../trouble.ts'
import { insteadOfTheLost, insteadOfThis } from './advice.ts'
import { format } from './format.ts'
import { lockDevice } from './lock.ts'
import type { LockedFile, Preparation, PreparedOverlay, Target, UndertakingNote } from './preparation.ts'
import { hasSuperblock, superblockCopy } from './superblock-copy.ts'
import { tend } from './tend.ts'
import { runTool } from './tools.ts'
import { noNote, noteOnDevice } from './undertaking.ts'

/** Overlays on block volumes: ext3 on the device itself. */

type DeviceVolume = Extract<OverlayVolume, { kind: 'device' }>

const sync = promisify(fsync)
const execute = promisify(execFile)

/**
 * Opens the device by a node of our own that has no name any more: the tools run
 * as nobody, and a node that is nobody's for the while must be found by nobody
 * else. It is made in /dev, since other file systems may be mounted `nodev`.
 */
const openPrivately = async ({ major, minor, mapPath }: DeviceVolume): Promise<number> => {
  closeSync(openDevice(mapPath, { major, minor }, 'read').fd)
  const node = `/dev/.lamina-${randomUUID()}`
  await execute('mknod', ['--mode=600', node, 'b', String(major), String(minor)])
  try {
    return openSync(node, 'r+')
  } finally {
    unlinkSync(node)
  }
}

const mebibyte = 2 ** 20

const isZero = (fd: number, offset: number): boolean => {
  const bytes = Buffer.alloc(mebibyte)
  const length = readSync(fd, bytes, 0, mebibyte, offset)
  return bytes.subarray(0, length).every((byte) => byte === 0)
}

interface Device extends LockedFile {
  /** Bytes. */
  size: number
  hasExt: boolean
  note: UndertakingNote
}

/** blkid(8): nothing that it knows is there. */
const nothingKnown = 2

/** Nobody has put anything on it. What lies in its middle alone no file system, partition table or volume manager would find again. */
const isBlank = async (device: Device): Promise<boolean> => {
  const { fd, size } = device
  if (!isZero(fd, 0) || !isZero(fd, Math.max(0, size - mebibyte))) return false
  const { exitCode } = await runTool(device, { tool: 'blkid', options: ['-p'], accepted: [0, nothingKnown, 8] })
  return exitCode === nothingKnown
}

const observe = (file: LockedFile, size: number, uid: string): Device => {
  const { fd } = file
  const hasExt = hasSuperblock(fd, 0)
  // The last block of a foreign file system is not ours to read notes from.
  const { blocks, blockSize } = hasExt ? readSuperblock(fd) : { blocks: 0, blockSize: 0 }
  const isFree = blocks * blockSize <= usableBytes(size)
  return { ...file, size, hasExt, note: isFree ? noteOnDevice(fd, size, uid) : noNote }
}

/**
 * mkfs.ext3 writes the superblock at the very end, and before it all over the
 * device: a note says that what is there is its doing, and nobody's data.
 */
const make = async (device: Device, preparation: Preparation): Promise<PreparedOverlay> => {
  const { fd, size, note } = device
  const { overlay, access, onProgress } = preparation
  if (access === 'ReadOnly') {
    throw new Trouble(
      'OverlayNotMade',
      `overlay "${overlay}": its device is blank still, and only a writer makes a file system there: start an instance that has it ReadWrite first`,
    )
  }
  const bytes = usableBytes(size)
  onProgress(`overlay "${overlay}": making an ext3 file system of ${mebibytes(bytes)} on its device`)
  await note.write('making')
  await format(device, bytes, preparation)
  await sync(fd)
  await note.clear()
  return { figures: figuresOf(readSuperblock(fd)), checked: false }
}

const refuse = (overlay: string, what: string): Trouble =>
  new Trouble('OverlayNotBlank', `overlay "${overlay}": its device ${what}`)

const prepare = async (device: Device, preparation: Preparation): Promise<PreparedOverlay> => {
  const { size, hasExt, note, ...file } = device
  const { fd } = file
  const { overlay, made, existing } = preparation
  const undertaking = note.read()
  // What was reported as made has been finished, whatever the note says.
  if (undertaking === 'making' && !made) return make(device, preparation)
  if (!hasExt && !undertaking) {
    const blank = await isBlank(device)
    if (blank && existing && !made)
      throw refuse(
        overlay,
        'is blank, and on an existing claim Lamina makes nothing: make an ext3 file system there (mkfs.ext3), or leave storage.existingClaimName out in a new overlay',
      )
    if (blank && !made) return make(device, preparation)
    if (blank)
      throw refuse(overlay, `is blank, although a file system was made there: ${insteadOfTheLost(preparation)}`)
    if (!made || !superblockCopy(fd))
      throw refuse(
        overlay,
        `holds something that is not an ext3 file system; it is left as it is: ${insteadOfThis(preparation)}`,
      )
  }
  if (hasExt) assertExt3(readSuperblock(fd))
  const target: Target = {
    ...{ ...file, undertaking: note, directory: null, what: 'its device' },
    extent: { offset: 0, size },
    growsTo: existing ? undefined : usableBytes(size),
  }
  return tend(target, preparation)
}

/**
 * Makes the file system on a blank device, and only there; looks over and imports
 * what is new here; for a writer also grows it where the device has grown.
 */
export const prepareDevice = async (volume: DeviceVolume, preparation: Preparation): Promise<PreparedOverlay> => {
  const { uid, access, made, lockDir, lockWaitMs } = preparation
  const fd = await openPrivately(volume)
  try {
    const { hasExt } = observe({ fd }, deviceSize(volume), uid)
    const figures = () => ({ figures: figuresOf(readSuperblock(fd)), checked: false })
    if (access === 'ReadOnly' && hasExt && made) return figures()
    // Readers share it.
    if (access === 'ReadOnly' && hasExt && isClaimed(fd)) return { ...figures(), inUse: true }
    const lock = await lockDevice(fd, volume, { lockDir, waitMs: lockWaitMs })
    try {
      return await prepare(observe({ fd, lock }, deviceSize(volume), uid), preparation)
    } finally {
      closeSync(lock)
    }
  } finally {
    closeSync(fd)
  }
}
