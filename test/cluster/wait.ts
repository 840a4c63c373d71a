import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Asks until the answer is yes.
 * @throws when it is still no after so many seconds, naming the folder of logs that may tell why
 */
export const waitFor = async (
  what: string,
  seconds: number,
  logs: string,
  ask: () => Promise<boolean>,
): Promise<void> => {
  const deadline = performance.now() + seconds * 1000
  while (!(await ask())) {
    if (performance.now() > deadline) throw new Error(`${what} did not happen within ${seconds} s; see ${logs}`)
    await sleep(100)
  }
}
