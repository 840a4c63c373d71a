import { expect, test } from 'vitest'
import { findingLines } from './finding.ts'

test('what others wrote moves no cursor, and makes no lines', () => {
  const what = '\x1b[1Afailed\n✓ instance/dev: all is well'
  expect(findingLines({ subject: 'instance/dev', level: 'wrong', what, next: 'kubectl lamina start dev' })).toEqual([
    '✗ instance/dev: failed ✓ instance/dev: all is well',
    '  → kubectl lamina start dev',
  ])
})
