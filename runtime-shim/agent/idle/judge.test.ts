import { expect, test } from 'vitest'
import { judge } from './judge.ts'

const session = (command: string, ageMs = 5_000) => ({ command, ageMs })

test.each([
  ['nothing at all', 0, [], false, 'no process by exec, less than 20 thousandths of a core'],
  ['a server that nobody asks', 190, [], false, 'no process by exec, less than 20 thousandths of a core'],
  ['work', 2_000, [], true, '200 thousandths of a core'],
  ['a shell', 0, [session('bash')], true, 'processes by exec: 1 (bash)'],
  ['a probe', 0, [session('test', 900)], false, 'no process by exec, less than 20 thousandths of a core'],
  [
    'many',
    0,
    ['bash', 'bash', 'vim', 'sh', 'top'].map((command) => session(command)),
    true,
    'processes by exec: 5 (bash, vim, sh)',
  ],
])('%s', (_, cpuMs, sessions, isUsed, seen) => {
  const judgement = judge({ cpuMs: 1_000, sessions: [] }, { cpuMs: 1_000 + cpuMs, sessions }, 10_000)
  expect(judgement).toEqual({ isUsed, seen })
})
