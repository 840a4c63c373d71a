import { describe, expect, test } from 'vitest'
import { summaryOf, tallyOf, total } from './tally.ts'

const file = (status: 'passed' | 'failed', ...tests: string[]) => ({
  name: 'a.test.ts',
  status,
  assertionResults: tests.map((each) => ({ status: each })),
})

describe('the tally of a vitest run', () => {
  test('counts its tests', () => {
    const report = { testResults: [file('passed', 'passed', 'skipped'), file('failed', 'passed', 'failed', 'todo')] }
    expect(tallyOf(report, 1)).toEqual({ passed: 2, failed: 1, skipped: 2 })
  })

  test('counts a file that could not be loaded as a failure', () => {
    expect(tallyOf({ testResults: [file('failed'), file('passed', 'passed')] }, 1)).toMatchObject({ failed: 1 })
  })

  test.each([
    ['without a report', undefined, 1],
    ['that failed although every test passed', { testResults: [file('passed', 'passed')] }, 1],
    ['that ran nothing', { testResults: [] }, 0],
  ])('is a failure for a run %s', (_, report, exitCode) => {
    expect(tallyOf(report, exitCode)).toMatchObject({ failed: 1 })
  })
})

test('the closing line sums up all runs', () => {
  const runs = [
    { passed: 3, failed: 0, skipped: 0 },
    { passed: 40, failed: 2, skipped: 1 },
  ]
  expect(summaryOf(total(runs))).toBe('43 passed, 2 failed, 1 skipped')
  expect(summaryOf(total(runs.slice(0, 1)))).toBe('3 passed, 0 failed')
})
