const everyMs = 10_000
const longestMs = 60_000
/** What looking may take of a core. */
const share = 1 / 1000

/** A look that is taken every ten seconds, less often where it takes more than a thousandth of a core. */
export const paced = (look: () => Promise<void>) => async (): Promise<{ requeueAfterMs: number }> => {
  const before = process.threadCpuUsage()
  await look()
  const { user, system } = process.threadCpuUsage(before)
  const takenMs = (user + system) / 1000
  return { requeueAfterMs: Math.min(Math.max(everyMs, takenMs / share), longestMs) }
}
