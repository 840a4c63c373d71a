import type { LockedFile, Preparation } from './preparation.ts'
import { runTool } from './tools.ts'

/** Bytes; also of pages, so that whole blocks fit into the page cache. */
const blockSize = 4096

/** For what an overlay has in it before anybody writes: overlayfs and we need some twenty. */
const leastInodes = 256

const inodesFor = (bytes: number, bytesPerInode: number): string[] =>
  bytes / bytesPerInode < leastInodes ? ['-N', String(leastInodes)] : ['-i', String(bytesPerInode)]

/**
 * Features of plain ext3, so that Apptainer opens it too. `nodiscard` keeps the
 * blocks that were reserved, where they are to be kept; the tool runs as nobody,
 * so the root's owner is named.
 */
const optionsOf = (
  bytes: number,
  { bytesPerInode, reservedPercent = 0, allocation }: Preparation['ext3'],
): string[] => [
  ...['-F', '-q', '-b', String(blockSize), '-m', String(reservedPercent)],
  ...(bytesPerInode === undefined ? [] : inodesFor(bytes, bytesPerInode)),
  ...['-E', `${allocation === 'Sparse' ? 'discard' : 'nodiscard'},root_owner=0:0`],
]

/**
 * Makes an ext3 file system of so many bytes at the start of the file or device.
 *
 * @throws ToolError
 */
export const format = async (file: LockedFile, bytes: number, { ext3 }: Preparation): Promise<void> => {
  await runTool(file, { tool: 'mkfs.ext3', options: optionsOf(bytes, ext3), blocks: Math.floor(bytes / blockSize) })
}
