import { describe, expect, test } from 'vitest'
import { summaryOf, tallyOf, total } from './tally.ts'

const file = (status: 'passed' | 'failed', ...tests: string[]) => ({
  name: 'a.test.ts',
  status,
  message: 'cannot be loaded',
  assertionResults: tests.map((each) => ({
    status: each,
    fullName: `it ${each}`,
    failureMessages: each === 'failed' ? ['expected 1 to be 2'] : [],
  })),
})

describe('the tally of a vitest run', () => {
  test('counts its tests', () => {
    const report = { testResults: [file('passed', 'passed', 'skipped'), file('failed', 'passed', 'failed', 'todo')] }
    expect(tallyOf(report, 1)).toEqual({
      passed: 2,
      skipped: 2,
      failures: ['a.test.ts > it failed\nexpected 1 to be 2'],
    })
  })

  test('counts a file that could not be loaded as a failure', () => {
    expect(tallyOf({ testResults: [file('failed'), file('passed', 'passed')] }, 1)).toMatchObject({
      failures: ['a.test.ts\ncannot be loaded'],
    })
  })

  test.each([
    ['without a report', undefined, 1],
    ['that failed although every test passed', { testResults: [file('passed', 'passed')] }, 1],
    ['that ran nothing', { testResults: [] }, 0],
  ])('is a failure for a run %s', (_, report, exitCode) => {
    expect(tallyOf(report, exitCode)).toMatchObject({ failures: [expect.stringContaining('names no test')] })
  })
})

test('the closing lines repeat what failed, and sum up all runs', () => {
  const runs = [
    { passed: 3, skipped: 0, failures: [] },
    { passed: 40, skipped: 1, failures: ['a.test.ts > adds\nexpected 1 to be 2', 'b.test.ts > divides\nnot a number'] },
  ]
  expect(summaryOf(total(runs))).toBe(
    '✗ a.test.ts > adds\nexpected 1 to be 2\n\n✗ b.test.ts > divides\nnot a number\n\n43 passed, 2 failed, 1 skipped',
  )
  expect(summaryOf(total(runs.slice(0, 1)))).toBe('3 passed, 0 failed')
})
