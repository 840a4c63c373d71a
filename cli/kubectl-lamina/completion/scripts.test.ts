import { execFileSync } from 'node:child_process'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Bundle, bundled } from '../testing/bundle.ts'

let bundle: Bundle
beforeAll(async () => {
  bundle = await bundled()
}, 60_000)
afterAll(() => bundle.remove())

const completedByBash = (...words: string[]): string => {
  const script = `source <(kubectl-lamina completion bash)
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
    _kubectl_lamina
    printf "%s|" "\${COMPREPLY[@]}"`
  const path = `${bundle.dir}/package:${bundle.path}`
  return execFileSync('bash', ['--norc', '-c', script, 'bash', 'kubectl-lamina', ...words], {
    env: { PATH: path, KUBECONFIG: '/none' },
    encoding: 'utf8',
  })
}

test('bash completes verbs and values, without their descriptions', () => {
  expect(completedByBash('overlay', 'c')).toBe('create|check|')
  expect(completedByBash('ps', '-o', '')).toBe('wide|json|yaml|')
})

test('and values behind an equals sign, at which bash takes words apart unless it is told not to', () => {
  expect(completedByBash('ps', '--output', '=', 'j')).toBe('json|')
  expect(completedByBash('ps', '--output', '=')).toBe('wide|json|yaml|')
  expect(completedByBash('ps', '--output=j')).toBe('--output=json|')
  expect(completedByBash('--namespace', '=', 'team', 'overlay', 'c')).toBe('create|check|')
})

test('without a cluster there are no names, and no word of complaint', () => {
  expect(completedByBash('exec', '')).toBe('|')
})
