import type { Extent } from '../../mount/parts.ts'
import { figuresOf, readSuperblock } from '../../mount/superblock.ts'
import type { Figures } from '../../node/ticket.ts'
import { Trouble } from '../trouble.ts'
import { check } from './check.ts'
import { metadataBytes, readGeometry } from './geometry.ts'
import { canGrow, grow } from './grow.ts'
import { importImage } from './import.ts'
import type { Preparation, PreparedOverlay, Target } from './preparation.ts'
import { ensureRoom, reserve } from './reserve.ts'
import { hasSuperblock } from './superblock-copy.ts'

/** What is done for every ext3 overlay, wherever it lies. */

export const figuresOfExt3 = ({ fd, extent }: { fd: number; extent: Extent }): Figures =>
  figuresOf(readSuperblock(fd, extent.offset))

/** Blocks behind all that a writer may write, unless asked otherwise; else room for what the tools write. */
const makeRoom = async (target: Target, { overlay, access, ext3 }: Preparation): Promise<void> => {
  const { fd, extent, directory, growsTo } = target
  if (directory === null) return
  const where = { overlay, directory }
  const isKnown = hasSuperblock(target.fd, target.extent.offset)
  const bytes = (isKnown ? growsTo : undefined) ?? extent.size
  if (access === 'ReadWrite' && ext3.allocation !== 'Sparse') return reserve(fd, extent.offset + bytes, where)
  const written = isKnown ? metadataBytes(readGeometry(fd, extent.offset), bytes) : bytes
  ensureRoom(fd, extent.offset + bytes, written, where)
}

type Reason = 'new here' | 'growth' | 'errors noted' | 'damaged before' | 'growth cut off' | 'superblock lost'

/** Why all of it is to be checked; offline growth asks for it, too. */
const reasonToCheck = (target: Target, { made, wasDamaged, access }: Preparation): Reason | undefined => {
  if (!hasSuperblock(target.fd, target.extent.offset)) return 'superblock lost'
  if (target.undertaking.read() === 'growing') return 'growth cut off'
  if (readSuperblock(target.fd, target.extent.offset).errorCount > 0) return 'errors noted'
  if (wasDamaged) return 'damaged before'
  if (!made) return 'new here'
  return access === 'ReadWrite' && canGrow(target) ? 'growth' : undefined
}

/** Checks it where there is reason to, grows it for a writer, and imports what is new here. Pre: the exclusive lock. */
export const tend = async (target: Target, preparation: Preparation): Promise<PreparedOverlay> => {
  const { overlay, access, made, wasDamaged, onProgress } = preparation
  await makeRoom(target, preparation)
  const reason = reasonToCheck(target, preparation)
  if (!reason) return { figures: figuresOfExt3(target), checked: false }

  onProgress(`overlay "${overlay}": checking the file system`)
  // A growth begins on a file system that has been checked: what a cut-off one leaves is its own doing.
  const isOurDoing = reason === 'growth cut off'
  const toldByTool = { overlay, onProgress: (line: string) => onProgress(`overlay "${overlay}": e2fsck: ${line}`) }
  const { repaired, damaged } = await check(target, toldByTool, isOurDoing ? 'all' : 'preen')
  if (damaged !== undefined && !hasSuperblock(target.fd, target.extent.offset))
    throw new Trouble('OverlayDamaged', damaged)
  if (damaged !== undefined) return { figures: figuresOfExt3(target), checked: true, damaged }
  if (repaired.length > 0) onProgress(`overlay "${overlay}": e2fsck has mended it`)
  if (isOurDoing) await target.undertaking.clear()
  if (access === 'ReadWrite' && canGrow(target)) await grow(target, preparation)
  if (!made || wasDamaged) await importImage(target, preparation)
  return {
    figures: figuresOfExt3(target),
    checked: true,
    ...(repaired.length > 0 && !isOurDoing ? { repaired } : {}),
  }
}
