import { shellQuoted } from '../cli/shared/shell-quoted.ts'
import { createStatusLine, type Screen } from '../cli/shared/status-line.ts'

/** What a story says, and beside it how far something in the background is. */
export interface Narrator {
  say(line?: string): void
  /** With the time since the start. */
  report(line: string): void
  chapter(title: string): void
  /** A command, as a person would type it. */
  typed(command: readonly string[]): void
  /** On a terminal the last line, which changes; elsewhere a line each, never among what a command says. */
  progress(line: string): void
  /** Keeps lines of progress back while a command speaks. */
  speaking<T>(command: () => Promise<T>): Promise<T>
  /** There is no more progress. */
  endProgress(): void
}

const width = 76

const quoted = (word: string): string => (/^[\w./:=,-]+$/.test(word) ? word : shellQuoted(word))

export const inSeconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`

/** @param nowMs since the start */
export const createNarrator = (screen: Screen, nowMs: () => number): Narrator => {
  const line = createStatusLine(screen)
  const timed = (text: string): string => `[${inSeconds(nowMs()).padStart(7)}] ${text}`
  let speakers = 0
  let heldBack: string | undefined
  const show = (text: string): void => (screen.isTerminal ? line.show(text) : line.say(timed(text)))

  return {
    say: (text = '') => line.say(text),
    report: (text) => line.say(timed(text)),
    chapter: (title) => line.say(`\n── ${title} ${'─'.repeat(Math.max(0, width - title.length))}`),
    typed: (command) => line.say(`\n$ ${command.map(quoted).join(' ')}`),
    progress: (text) => {
      if (speakers > 0 && !screen.isTerminal) heldBack = text
      else show(text)
    },
    speaking: async (command) => {
      speakers += 1
      try {
        return await command()
      } finally {
        speakers -= 1
        if (speakers === 0 && heldBack !== undefined) {
          show(heldBack)
          heldBack = undefined
        }
      }
    },
    endProgress: () => line.clear(),
  }
}
