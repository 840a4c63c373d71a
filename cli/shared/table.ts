import { oneLine } from './printable.ts'

const gap = '   '

const lengthOf = (cell: string): number => [...cell].length

/**
 * A table to which rows come by and by, as kubectl prints it: no lines, and columns
 * as wide as their widest cell so far.
 *
 * @returns what formats further rows, with a newline at the end of each
 */
export const createTable = (columns: number): ((rows: readonly (readonly string[])[]) => string) => {
  let widths: readonly number[] = Array.from({ length: columns }, () => 0)
  return (rows) => {
    const lines = rows.map((row) => widths.map((_, column) => oneLine(row[column] ?? '')))
    widths = widths.map((width, column) => Math.max(width, ...lines.map((line) => lengthOf(line[column] ?? ''))))
    const format = (line: readonly string[]): string =>
      line
        .map((cell, column) => cell + ' '.repeat((widths[column] ?? 0) - lengthOf(cell)))
        .join(gap)
        .trimEnd()
    return lines.map((line) => `${format(line)}\n`).join('')
  }
}

export const formatTable = (header: readonly string[], rows: readonly (readonly string[])[]): string =>
  createTable(header.length)([header, ...rows])
