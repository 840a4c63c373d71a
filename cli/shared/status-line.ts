import { oneLine, printable } from './printable.ts'

/** Tells how far something is: one line that changes on a terminal, plain lines elsewhere. */
export interface StatusLine {
  /** @param text what is going on; on no terminal a new line, when it is another than before and the last is a while ago, or `isNews` */
  show(text: string, options?: { isNews?: boolean }): void
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

const onTerminal = (screen: Screen): StatusLine => {
  let current: string | undefined
  let frame = 0
  let timer: NodeJS.Timeout | undefined
  const erase = (): void => screen.write('\r\x1b[K')
  const draw = (): void => {
    if (current === undefined) return
    frame = (frame + 1) % frames.length
    const room = Math.max(20, screen.columns() - 3)
    const text = [...current]
    screen.write(`\r\x1b[K${frames[frame]} ${text.length > room ? `${text.slice(0, room - 1).join('')}…` : current}`)
  }
  const clear = (): void => {
    if (current === undefined) return
    clearInterval(timer)
    timer = undefined
    current = undefined
    erase()
  }
  return {
    show: (text) => {
      current = oneLine(text)
      timer ??= setInterval(draw, frameMs).unref()
      draw()
    },
    say: (text) => {
      if (current !== undefined) erase()
      screen.write(`${printable(text)}\n`)
      draw()
    },
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
