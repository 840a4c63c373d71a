import type { PersistentOverlay } from '../../crds/persistent-overlay.ts'
import { parseQuantity } from '../../kube/quantity.ts'

/** Of the ext3 file systems that nodes make (`mkfs.ext3 -b 4096`): a group of blocks is what one block's bits can name. */
const blockSize = 4096
const blocksPerGroup = 8 * blockSize
const groupSize = blocksPerGroup * blockSize
const inodeSize = 256
/** Of mke2fs.conf, for file systems of less than 512 MiB and for others. */
const defaultBytesPerInode = (size: number): number => (size < 2 ** 29 ? 4096 : 16_384)
/** mke2fs and resize2fs leave out a last group with less room for data. */
const leastDataBlocks = 50

/** Bytes below which another group is left out: its own tables would fill it. At most: not every group has them all. */
const leastGroup = (capacityBytes: number, bytesPerInode = defaultBytesPerInode(capacityBytes)): number => {
  const groups = capacityBytes / groupSize
  const inodes = Math.min(groupSize / bytesPerInode, blocksPerGroup)
  const table = Math.ceil((inodes * inodeSize) / blockSize)
  const descriptors = Math.ceil(((groups + 1) * 32) / blockSize)
  const reserved = Math.min(blockSize / 4, groups * 8)
  return (2 + table + 1 + descriptors + reserved + leastDataBlocks) * blockSize
}

/**
 * Whether the file system is to grow at the next start. Plain directories are
 * limited by their volume, and what was on a claim before keeps its size.
 */
export const mustGrow = ({ spec, status }: PersistentOverlay): boolean => {
  if (spec.format !== 'Image' || spec.storage.existingClaimName !== undefined || !status.usage) return false
  const { capacityBytes } = status.usage
  const lacking = parseQuantity(spec.size) - capacityBytes
  const isWholeGroups = capacityBytes > 0 && capacityBytes % groupSize === 0
  if (isWholeGroups && lacking < leastGroup(capacityBytes, spec.ext3?.bytesPerInode)) return false
  return lacking >= blockSize
}
