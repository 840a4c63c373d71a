import { oneLine, printable } from './printable.ts'

/** Tells how far something is: one line that changes on a terminal, plain lines elsewhere. */
export interface StatusLine {
  /**
   * @param text what is going on; on no terminal a new line, when it is another than before and the last is a while ago, or `isNews`
   * @param options `isReason`: a person is to read all of it: on a terminal where it has not room it is also said, once
   */
  show(text: string, options?: { isNews?: boolean; isReason?: boolean }): void
  /** A line that stays. */
  say(text: string): void
  /** Takes the changing line away. */
  clear(): void
}

export interface Screen {
  write(text: string): void
  isTerminal: boolean
  columns(): number
}

const quietMs = 5_000
const frames = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'] as const
const frameMs = 100

/** What begins a line says of what it is, and what ends it how far that is: it is cut between. */
const fitted = (line: string, room: number): string => {
  const text = [...line]
  if (text.length <= room) return line
  const head = Math.floor((room - 1) * 0.4)
  return `${text.slice(0, head).join('')}…${text.slice(text.length - (room - 1 - head)).join('')}`
}

const onTerminal = (screen: Screen): StatusLine => {
  let current: string | undefined
  let frame = 0
  let timer: NodeJS.Timeout | undefined
  let lastReason = ''
  const room = (): number => Math.max(20, screen.columns() - 3)
  const erase = (): void => screen.write('\r\x1b[K')
  const draw = (): void => {
    if (current === undefined) return
    frame = (frame + 1) % frames.length
    screen.write(`\r\x1b[K${frames[frame]} ${fitted(current, room())}`)
  }
  const clear = (): void => {
    if (current === undefined) return
    clearInterval(timer)
    timer = undefined
    current = undefined
    erase()
  }
  const say = (text: string): void => {
    if (current !== undefined) erase()
    screen.write(`${printable(text)}\n`)
    draw()
  }
  return {
    show: (text, { isReason = false } = {}) => {
      const line = oneLine(text)
      if (isReason && line !== lastReason && [...line].length > room()) say(line)
      if (isReason) lastReason = line
      current = line
      timer ??= setInterval(draw, frameMs).unref()
      draw()
    },
    say,
    clear,
  }
}

const asLines = (screen: Screen, nowMs: () => number): StatusLine => {
  let last = ''
  let lastMs = Number.NEGATIVE_INFINITY
  const say = (text: string): void => screen.write(`${printable(text)}\n`)
  return {
    show: (text, { isNews = false } = {}) => {
      const line = oneLine(text)
      if (line === last || (!isNews && nowMs() - lastMs < quietMs)) return
      last = line
      lastMs = nowMs()
      say(line)
    },
    say,
    clear: () => {},
  }
}

export const createStatusLine = (screen: Screen, nowMs = () => performance.now()): StatusLine =>
  screen.isTerminal ? onTerminal(screen) : asLines(screen, nowMs)
