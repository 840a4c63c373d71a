import { expect, test } from 'vitest'
import { connectionError } from './remote.ts'

const refused = new Error('Unexpected server response: 403')

test('who may not run commands is told which right it takes', () => {
  expect(connectionError(refused, 'dev', false).message).toBe(
    'no command can be run in dev: not allowed: it takes the right to create pods/exec in this namespace',
  )
})

test('over kubectl proxy, that it is the proxy most likely, and how it lets them through', () => {
  expect(connectionError(refused, 'dev', true).message).toContain("--reject-paths='^$'")
  expect(connectionError(new Error('Unexpected server response: 404'), 'dev', true).message).toContain(
    'its pod is not there any more',
  )
})
