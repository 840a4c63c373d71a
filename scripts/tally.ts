import * as z from 'zod'

/** How many checks or tests ended how. */
export interface Tally {
  passed: number
  failed: number
  skipped: number
}

/** The part of vitest's JSON report (its `json` reporter, Jest's shape) that counts. */
const reportSchema = z.object({
  testResults: z.array(
    z.object({
      name: z.string(),
      status: z.string(),
      assertionResults: z.array(z.object({ status: z.string() })),
    }),
  ),
})

/**
 * Counts a run of vitest. A file that failed without a failing test of its own
 * (it could not be loaded, a hook threw) counts as one failure, and so does a
 * run that ended badly without saying where.
 *
 * @param report the parsed report; undefined when none was written
 */
export const tallyOf = (report: unknown, exitCode: number): Tally => {
  const files = report === undefined ? [] : reportSchema.parse(report).testResults
  const tests = files.flatMap(({ assertionResults }) => assertionResults)
  const count = (status: string) => tests.filter((test) => test.status === status).length
  const brokenFiles = files.filter(
    ({ status, assertionResults }) => status === 'failed' && !assertionResults.some((test) => test.status === 'failed'),
  ).length
  const passed = count('passed')
  const failed = count('failed') + brokenFiles
  const skipped = tests.length - passed - count('failed')
  const unexplained = failed === 0 && (exitCode !== 0 || passed === 0)
  return { passed, failed: unexplained ? 1 : failed, skipped }
}

export const total = (tallies: readonly Tally[]): Tally =>
  tallies.reduce(
    (sum, { passed, failed, skipped }) => ({
      passed: sum.passed + passed,
      failed: sum.failed + failed,
      skipped: sum.skipped + skipped,
    }),
    { passed: 0, failed: 0, skipped: 0 },
  )

export const summaryOf = ({ passed, failed, skipped }: Tally): string =>
  `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`
