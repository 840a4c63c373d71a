import { expect, test } from 'vitest'
import { isDigest } from './digest.ts'

test.each([`sha256:${'0af'.repeat(21)}9`, `sha512:${'b'.repeat(128)}`])('%s is a digest', (text) => {
  expect(isDigest(text)).toBe(true)
})

test.each([
  '',
  'sha256:0',
  `sha256:${'A'.repeat(64)}`,
  `sha512:${'a'.repeat(64)}`,
  `md5:${'a'.repeat(32)}`,
  `sha256:${'a'.repeat(64)}\n`,
  `sha256:${'a'.repeat(64)}/../../kubelet/pods`,
  '../../kubelet/pods',
])('%j is none', (text) => {
  expect(isDigest(text)).toBe(false)
})
