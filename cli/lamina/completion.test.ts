import { execFileSync } from 'node:child_process'
import { dirname } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { useCliBench } from './testing/bench.ts'

const bench = await useCliBench()
beforeAll(() => {
  bench.lamina(['instance', 'start', bench.image, 'one'])
}, 60_000)
afterAll(() => {
  bench.lamina(['instance', 'stop', '--all'])
})

const completedByBash = (...words: string[]): string[] => {
  const script = `source <(lamina completion bash)
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
    _lamina
    printf "%s\\n" "\${COMPREPLY[@]}"`
  return execFileSync('bash', ['--norc', '-c', script, 'bash', 'lamina', ...words], {
    env: { ...bench.env, PATH: `${dirname(bench.launcher)}:${bench.env.PATH}` },
    encoding: 'utf8',
  })
    .trim()
    .split('\n')
}

test('bash completes verbs, options and instances, and leaves files to itself', () => {
  expect(completedByBash('overlay', '')).toEqual(['create', 'ls', 'du', 'check', 'resize'])
  expect(completedByBash('')).not.toContain('instance.start')
  expect(completedByBash('exec', '--over')).toEqual(['--overlay'])
  expect(completedByBash('stop', '')).toEqual(['one'])
  expect(completedByBash('instance', 'logs', 'o')).toEqual(['one'])
  expect(completedByBash('exec', '')).toEqual([''])
})

test.each(['bash', 'zsh', 'fish'])('%s has a script', (shell) => {
  expect(bench.lamina(['completion', shell])).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('lamina __complete'),
  })
})
