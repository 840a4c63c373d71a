/** Tables in pages of docs/. */

const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
export const table = (head: readonly string[], rows: readonly string[][]): string =>
  [row(head), row(head.map(() => '---')), ...rows.map(row)].join('\n')

/** The page with what lies between the comments `<!-- name -->` and `<!-- end of name -->` replaced; as it is without them. */
export const between = (text: string, name: string, content: string): string => {
  const [start, end] = [`<!-- ${name} -->`, `<!-- end of ${name} -->`]
  const [from, to] = [text.indexOf(start), text.indexOf(end)]
  return from < 0 || to < from ? text : `${text.slice(0, from)}${start}\n\n${content}\n\n${text.slice(to)}`
}
