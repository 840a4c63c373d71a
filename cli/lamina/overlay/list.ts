import { closeSync, constants, fstatSync, openSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { formatBytes, formatShare } from '../../../kube/bytes.ts'
import { BadImageError } from '../../../runtime-shim/mount/bad-image.ts'
import { hasCode } from '../../../runtime-shim/mount/error-code.ts'
import { overlayLayer } from '../../../runtime-shim/mount/image-file.ts'
import { type Figures, figuresOf, NotExt3Error, readSuperblock } from '../../../runtime-shim/mount/superblock.ts'
import { Refusal } from '../../shared/refusal.ts'
import { formatTable } from '../../shared/table.ts'
import type { Layout } from '../layout.ts'
import { realPathOf } from '../root/base.ts'
import { holderOf } from './holder.ts'

/** What is known of an overlay without mounting it: as its file system had it when it was written last. */
interface Seen extends Figures {
  /** As it was typed, or found in a directory. */
  file: string
  /** Bytes. */
  size: number
  /** Bytes of the disk. */
  onDisk: number
  holder: string | undefined
}

const look = (shown: string, layout: Layout): Seen => {
  const path = realPathOf(shown, 'overlay')
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    const stats = fstatSync(fd)
    const { kind, extent } = overlayLayer(fd, stats.size)
    if (kind !== 'ext3') throw new BadImageError('it is a squashfs')
    const figures = figuresOf(readSuperblock(fd, extent.offset))
    return {
      ...figures,
      file: shown,
      size: extent.size,
      onDisk: stats.blocks * 512,
      holder: holderOf(path, stats, layout),
    }
  } finally {
    closeSync(fd)
  }
}

const lookAsked = (shown: string, layout: Layout): Seen => {
  try {
    return look(shown, layout)
  } catch (error) {
    if (error instanceof BadImageError || error instanceof NotExt3Error)
      throw new Refusal(`${shown} is no ext3 overlay: ${error.message}; make one with lamina overlay create`)
    if (hasCode(error, 'EACCES')) throw new Refusal(`could not open overlay ${shown}: permission denied`)
    throw error
  }
}

/** The overlays among the files of a directory; what cannot be read is none. */
const lookAround = (directory: string, layout: Layout): Seen[] =>
  readdirSync(directory, { withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.startsWith('.'))
    .map(({ name }) => (directory === '.' ? name : join(directory, name)))
    .toSorted()
    .flatMap((file): Seen[] => {
      try {
        return [look(file, layout)]
      } catch (error) {
        if (error instanceof BadImageError || error instanceof NotExt3Error || hasCode(error, 'EACCES', 'ENOENT'))
          return []
        throw error
      }
    })

const isDirectory = (path: string): boolean => statSync(realPathOf(path, 'overlay')).isDirectory()

/** Of files, and of all in directories. @throws Refusal */
const seenIn = (places: readonly string[], layout: Layout): Seen[] =>
  places.flatMap((place) => (isDirectory(place) ? lookAround(place, layout) : [lookAsked(place, layout)]))

const usedBytes = ({ blocks, freeBlocks, blockSize }: Figures): number => (blocks - freeBlocks) * blockSize
const allBytes = ({ blocks, blockSize }: Figures): number => blocks * blockSize

const stateOf = ({ errorCount, needsRecovery, holder }: Seen): string => {
  if (errorCount > 0) return 'errors'
  return needsRecovery && holder === undefined ? 'unclean' : 'clean'
}

export interface Listing {
  /** Files, and directories to look in. */
  places: readonly string[]
  json: boolean
}

/** @throws Refusal */
export const listOverlays = ({ places, json }: Listing, layout: Layout): string => {
  const seen = seenIn(places, layout)
  if (json)
    return `${JSON.stringify({ overlays: seen.map((each) => ({ ...each, state: stateOf(each) })) }, null, '\t')}\n`
  const rows = seen.map((each) => [
    each.file,
    formatBytes(each.size),
    formatShare(usedBytes(each), allBytes(each)),
    stateOf(each),
    each.holder ?? '-',
  ])
  return formatTable(['FILE', 'SIZE', 'USED', 'STATE', 'HOLDER'], rows)
}

/** @throws Refusal */
export const diskUsage = ({ places, json }: Listing, layout: Layout): string => {
  const uses = seenIn(places, layout).map((each) => ({
    file: each.file,
    usedBytes: usedBytes(each),
    capacityBytes: allBytes(each),
    onDiskBytes: each.onDisk,
    usedInodes: each.inodes - each.freeInodes,
    capacityInodes: each.inodes,
  }))
  if (json) return `${JSON.stringify({ overlays: uses }, null, '\t')}\n`
  const rows = uses.map(({ file, usedBytes: used, capacityBytes, usedInodes, capacityInodes, onDiskBytes }) => [
    file,
    formatBytes(used),
    formatBytes(capacityBytes),
    formatShare(used, capacityBytes),
    String(usedInodes),
    formatShare(usedInodes, capacityInodes),
    formatBytes(onDiskBytes),
  ])
  return formatTable(['FILE', 'USED', 'SIZE', 'USE%', 'INODES', 'INODES%', 'ON DISK'], rows)
}
