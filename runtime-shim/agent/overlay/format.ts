import type { LockedFile, Preparation } from './preparation.ts'
import { runTool } from './tools.ts'

/** Bytes; also of pages, so that whole blocks fit into the page cache. */
const blockSize = 4096

/**
 * Features of plain ext3, so that Apptainer opens it too. `nodiscard` keeps the
 * blocks that were reserved, where they are to be kept; the tool runs as nobody,
 * so the root's owner is named.
 */
const optionsOf = ({ bytesPerInode, reservedPercent = 0, allocation }: Preparation['ext3']): string[] => [
  ...['-F', '-q', '-b', String(blockSize), '-m', String(reservedPercent)],
  ...(bytesPerInode === undefined ? [] : ['-i', String(bytesPerInode)]),
  ...['-E', `${allocation === 'Sparse' ? 'discard' : 'nodiscard'},root_owner=0:0`],
]

/**
 * Makes an ext3 file system of so many bytes at the start of the file or device.
 *
 * @throws ToolError
 */
export const format = async (file: LockedFile, bytes: number, { ext3 }: Preparation): Promise<void> => {
  await runTool(file, { tool: 'mkfs.ext3', options: optionsOf(ext3), blocks: Math.floor(bytes / blockSize) })
}
