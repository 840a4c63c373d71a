import xterm from '@xterm/headless'
import type { Take } from './record.ts'
import type { Transcript } from './transcript.ts'

/** Characters in a row that look alike. Colours are CSS's; none is the terminal's own. */
export interface Run {
  column: number
  text: string
  colour?: string
  ground?: string
  bold: boolean
  dim: boolean
}

/** A line as it was for some time; its row counts from the first that was printed, whatever has scrolled away. */
export interface Line {
  row: number
  runs: Run[]
  /** Column of the cursor, where it stands in this line and is to be seen. */
  cursor?: number
  fromMs: number
  /** None: to the end. */
  toMs?: number
}

/** All that was to be seen on a terminal, and when. */
export interface Film {
  columns: number
  rows: number
  lines: Line[]
  /** The row at the top of the screen, from each moment on; rising. */
  scroll: { fromMs: number; top: number }[]
  lengthMs: number
}

/** Times are made, not measured: a recording made anew differs in what was printed alone. */
const pace = {
  beforeTyping: 700,
  keys: 3,
  perKeys: 100,
  beforeEnter: 400,
  /** Of what a command prints: between these for a line, and about this for all of them. */
  line: { least: 30, most: 120, all: 1800 },
  rest: 5000,
}

const palette = [
  ...['#484f58', '#ff7b72', '#3fb950', '#d29922', '#58a6ff', '#bc8cff', '#39c5cf', '#b1bac4'],
  ...['#6e7681', '#ffa198', '#56d364', '#e3b341', '#79c0ff', '#d2a8ff', '#56d4dd', '#ffffff'],
]

const hex = (value: number): string => `#${value.toString(16).padStart(6, '0')}`

/** Of xterm's 256: the 16 named ones, a cube of 6 × 6 × 6, and 24 greys. */
const indexed = (index: number): string => {
  const named = palette[index]
  if (named !== undefined) return named
  if (index >= 232) return hex((8 + (index - 232) * 10) * 0x01_01_01)
  const level = (step: number): number => (step === 0 ? 0 : 55 + step * 40)
  const cube = index - 16
  return hex((level(Math.floor(cube / 36)) << 16) | (level(Math.floor(cube / 6) % 6) << 8) | level(cube % 6))
}

type Cell = xterm.IBufferCell

const styleOf = (cell: Cell): Omit<Run, 'column' | 'text'> => {
  const front = cell.isFgDefault() ? undefined : cell.isFgRGB() ? hex(cell.getFgColor()) : indexed(cell.getFgColor())
  const back = cell.isBgDefault() ? undefined : cell.isBgRGB() ? hex(cell.getBgColor()) : indexed(cell.getBgColor())
  const [colour, ground] = cell.isInverse() ? [back ?? '#0d1117', front ?? '#e6edf3'] : [front, back]
  return {
    ...(colour === undefined ? {} : { colour }),
    ...(ground === undefined ? {} : { ground }),
    bold: cell.isBold() !== 0,
    dim: cell.isDim() !== 0,
  }
}

const runsOf = (line: xterm.IBufferLine): Run[] => {
  const runs: Run[] = []
  const length = line.translateToString(true).length
  let last = ''
  for (let column = 0; column < length; column += 1) {
    const cell = line.getCell(column)
    if (!cell || cell.getWidth() === 0) continue
    const style = styleOf(cell)
    const text = cell.getChars() || ' '
    const key = JSON.stringify(style)
    const run = runs.at(-1)
    if (run && key === last) run.text += text
    else runs.push({ column, text, ...style })
    last = key
  }
  return runs
}

/** In the pieces in which they are shown: line by line, whatever was rewritten in between. */
const linesOf = (output: string): string[] => output.split(/(?<=\n)/)

/** What somebody types is to be told from what is answered. */
const bold = (text: string): string => `\x1b[1m${text}\x1b[22m`

const steadied = (transcript: Transcript, output: string): string =>
  transcript.steady.reduce((text, { from, to }) => text.replaceAll(from, to), output)

/** Plays what was recorded on a terminal that nobody sees, and notes what stood there when. */
export const develop = async (transcript: Transcript, takes: readonly Take[]): Promise<Film> => {
  const { columns, rows, prompt } = transcript
  const terminal = new xterm.Terminal({ cols: columns, rows, scrollback: 10_000, allowProposedApi: true })
  const lines: Line[] = []
  const standing = new Map<number, { line: Line; key: string }>()
  const scroll = [{ fromMs: 0, top: 0 }]
  let now = 0

  const look = (withCursor: boolean): void => {
    const { baseY, cursorX, cursorY, length } = terminal.buffer.normal
    for (let row = 0; row < length; row += 1) {
      const line = terminal.buffer.normal.getLine(row)
      const runs = line ? runsOf(line) : []
      const cursor = withCursor && row === baseY + cursorY ? { cursor: cursorX } : {}
      const key = JSON.stringify([runs, cursor])
      const before = standing.get(row)
      if (before?.key === key) continue
      if (before) before.line.toMs = now
      const next = { row, runs, ...cursor, fromMs: now }
      standing.set(row, { line: next, key })
      lines.push(next)
    }
    if (scroll.at(-1)?.top !== baseY) scroll.push({ fromMs: now, top: baseY })
  }
  const show = (text: string, { withCursor = false } = {}): Promise<void> =>
    new Promise((resolve) => {
      terminal.write(text, () => {
        look(withCursor)
        resolve()
      })
    })

  await show(prompt, { withCursor: true })
  for (const { step, output } of takes) {
    now += pace.beforeTyping
    for (let at = 0; at < step.type.length; at += pace.keys) {
      await show(bold(step.type.slice(at, at + pace.keys)), { withCursor: true })
      now += pace.perKeys
    }
    now += pace.beforeEnter
    const [enter = '', ...printed] = linesOf(steadied(transcript, output))
    await show(enter, { withCursor: true })
    now += step.wait * 1000
    const { least, most, all } = pace.line
    const perLine = Math.round(Math.min(most, Math.max(least, all / printed.length)))
    for (const [index, line] of printed.entries()) {
      now += index === 0 ? 0 : perLine
      await show(line, { withCursor: index === printed.length - 1 })
    }
  }
  terminal.dispose()
  const isSeen = ({ runs, cursor, fromMs, toMs }: Line) => (runs.length > 0 || cursor !== undefined) && fromMs !== toMs
  return { columns, rows, lines: lines.filter(isSeen), scroll, lengthMs: now + pace.rest }
}
