/** Text of ours at the end of a file that is somebody else's, and how the file is as it was without it. */

const first = '# >>> lamina: written by its node agent, and removed by "agent.cjs uninstall"'
const last = '# <<< lamina'

/** Every byte of the text stays, also a missing last newline. */
export const withBlock = (text: string, content: string): string => `${text}\n${first}\n${content}${last}\n`

export const withoutBlock = (text: string): string => {
  const start = text.indexOf(`\n${first}\n`)
  const end = text.indexOf(`\n${last}\n`, start)
  return start < 0 || end < 0 ? text : text.slice(0, start) + text.slice(end + `\n${last}\n`.length)
}

export const hasBlock = (text: string): boolean => withoutBlock(text) !== text
