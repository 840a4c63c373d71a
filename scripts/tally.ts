import * as z from 'zod'

/** How many checks or tests ended how, and what is to be read of each that failed. */
export interface Tally {
  passed: number
  skipped: number
  failures: readonly string[]
}

/** The part of vitest's JSON report (its `json` reporter, Jest's shape) that counts. */
const reportSchema = z.object({
  testResults: z.array(
    z.object({
      name: z.string(),
      status: z.string(),
      message: z.string().default(''),
      assertionResults: z.array(
        z.object({ status: z.string(), fullName: z.string(), failureMessages: z.array(z.string()).default([]) }),
      ),
    }),
  ),
})

type TestFile = z.infer<typeof reportSchema>['testResults'][number]

/** Of a file that failed without a failing test of its own (it could not be loaded, a hook threw), that it failed. */
const failuresOf = ({ name, status, message, assertionResults }: TestFile): string[] => {
  const tests = assertionResults.filter((each) => each.status === 'failed')
  if (tests.length === 0) return status === 'failed' ? [`${name}\n${message}`] : []
  return tests.map(({ fullName, failureMessages }) => `${name} > ${fullName}\n${failureMessages.join('\n')}`)
}

/**
 * Counts a run of vitest. A run that ended badly without saying where counts as one failure.
 *
 * @param report the parsed report; undefined when none was written
 */
export const tallyOf = (report: unknown, exitCode: number): Tally => {
  const files = report === undefined ? [] : reportSchema.parse(report).testResults
  const tests = files.flatMap(({ assertionResults }) => assertionResults)
  const count = (status: string) => tests.filter((test) => test.status === status).length
  const passed = count('passed')
  const skipped = tests.length - passed - count('failed')
  const failures = files.flatMap(failuresOf)
  const unexplained = failures.length === 0 && (exitCode !== 0 || passed === 0)
  return {
    passed,
    skipped,
    failures: unexplained ? [`vitest ended with exit code ${exitCode}, and names no test`] : failures,
  }
}

export const total = (tallies: readonly Tally[]): Tally => ({
  passed: tallies.reduce((sum, { passed }) => sum + passed, 0),
  skipped: tallies.reduce((sum, { skipped }) => sum + skipped, 0),
  failures: tallies.flatMap(({ failures }) => failures),
})

/** The failures once more, for they lie thousands of lines above, and the closing line. */
export const summaryOf = ({ passed, skipped, failures }: Tally): string =>
  [
    ...failures.map((failure) => `✗ ${failure}\n`),
    `${passed} passed, ${failures.length} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`,
  ].join('\n')
