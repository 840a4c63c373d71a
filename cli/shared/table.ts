const gap = '   '

/**
 * A table as kubectl prints it: columns as wide as their widest cell, no lines.
 *
 * @returns with a newline at the end
 */
export const formatTable = (header: readonly string[], rows: readonly (readonly string[])[]): string => {
  const lines = [header, ...rows]
  const widths = header.map((_, column) => Math.max(...lines.map((line) => [...(line[column] ?? '')].length)))
  const format = (line: readonly string[]): string =>
    widths
      .map((width, column) => {
        const cell = line[column] ?? ''
        return cell + ' '.repeat(width - [...cell].length)
      })
      .join(gap)
      .trimEnd()
  return lines.map((line) => `${format(line)}\n`).join('')
}
