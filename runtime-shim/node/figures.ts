import { closeSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { openDevice } from '../mount/device.ts'
import { openFileIn } from '../mount/open.ts'
import { figuresOf, readSuperblock } from '../mount/superblock.ts'
import type { Figures, RecordedOverlay } from './ticket.ts'

type Recorded = Pick<RecordedOverlay, 'path' | 'dev' | 'ino' | 'device' | 'ext3Offset'>

export const notRecorded = (path: string): Error => new Error(`${path} is no longer the file that was mounted`)

const openRecorded = ({ path, dev, ino, device }: Recorded): number => {
  if (device) return openDevice(path, device, 'read').fd
  const { fd, stats } = openFileIn(dirname(path), basename(path), 'read', path)
  if (String(stats.dev) === dev && String(stats.ino) === ino) return fd
  closeSync(fd)
  throw notRecorded(path)
}

/**
 * What the superblock of an overlay says once its mount is gone. Null for one
 * without: format Directory.
 *
 * @throws when the kubelet has taken the volume away, or something else is in its place
 */
export const figuresIn = (overlay: Recorded): Figures | null => {
  if (overlay.ext3Offset === null) return null
  const fd = openRecorded(overlay)
  try {
    return figuresOf(readSuperblock(fd, overlay.ext3Offset))
  } finally {
    closeSync(fd)
  }
}
