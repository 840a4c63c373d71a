import { expect, test } from 'vitest'
import * as z from 'zod'
import { parseObject } from '../../kube/client.ts'
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
