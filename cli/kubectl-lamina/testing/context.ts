import type { CommandContext } from '../context.ts'

/** For who looks at the program's words, and runs none of them. */
export const silentContext: Omit<CommandContext, 'connect'> = {
  print: () => {},
  copy: async () => {},
  status: { show: () => {}, say: () => {}, clear: () => {} },
  interrupts: { signal: new AbortController().signal, take: () => () => {}, abandon: () => {} },
}
