import { spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'
import * as z from 'zod'
import { ApiError, parseObject } from '../../kube/client.ts'
import { instances } from '../../kube/resources.ts'
import { failureOf } from './failure.ts'

test('an object that this version cannot read is named, with the field, and no JSON', () => {
  const json = { metadata: { name: 'dev', namespace: 'team' }, spec: { imageRef: { name: 7 } } }
  const read = () => parseObject(instances, json)
  expect(read).toThrow()
  try {
    read()
  } catch (error) {
    const { message } = failureOf(error)
    expect(message).toMatch(/^Instance team\/dev is not as this version of Lamina knows it: .*spec\.imageRef\.name$/s)
    expect(message).not.toMatch(/[{[]\n/)
  }
})

test('nor is there JSON of an answer that is none of an API server', () => {
  const { error } = z.object({ items: z.array(z.string()) }).safeParse({})
  expect(failureOf(error).message).toMatch(/^the cluster's answer is not as it should be: ✖ .*→ at items$/s)
})

test('a credential plugin that is not there is named, and not the server', () => {
  const { error } = spawnSync('no-such-plugin', { encoding: 'utf8' })
  const asked = new Error('GET /apis: no answer from https://127.0.0.1:1', { cause: error })
  expect(failureOf(asked).message).toBe(
    'the kubeconfig\'s credential plugin "no-such-plugin" cannot be run: install it, or correct users[].user.exec.command',
  )
})

test('a server that is spoken to without TLS and wants it is told with what to write instead', () => {
  const refused = new ApiError('Client sent an HTTP request to an HTTPS server.', { status: 400, reason: 'BadRequest' })
  expect(failureOf(refused, 'http://10.0.0.1:6443').message).toBe(
    'http://10.0.0.1:6443 speaks https, and the kubeconfig says http: give the cluster there the server https://10.0.0.1:6443 (kubectl config set-cluster NAME --server=https://10.0.0.1:6443)',
  )
})
