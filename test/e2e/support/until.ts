import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Asks again until the answer is neither undefined nor false, and returns it.
 * Throws what the last try threw, or what `describe` says of the state, when
 * the time is up: a failing test tells what it saw, not only that it waited.
 */
export const until = async <T>(
  what: string,
  ask: () => Promise<T | undefined | false>,
  {
    seconds = 60,
    everyMs = 200,
    describe,
  }: { seconds?: number; everyMs?: number; describe?: () => Promise<string> } = {},
): Promise<T> => {
  const deadline = performance.now() + seconds * 1000
  let failure: unknown
  for (;;) {
    try {
      const answer = await ask()
      if (answer !== undefined && answer !== false) return answer
      failure = undefined
    } catch (error) {
      failure = error
    }
    if (performance.now() > deadline) break
    await sleep(everyMs)
  }
  const seen = describe ? `\n${await describe()}` : ''
  throw new Error(`not within ${seconds} s: ${what}${seen}`, { cause: failure })
}
