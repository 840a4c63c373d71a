import { describe, expect, test } from 'vitest'
import { apiErrorOfBody, isOfEndingNamespace } from './api-error.ts'

const status = (more: object) => JSON.stringify({ kind: 'Status', reason: 'Forbidden', code: 403, ...more })

describe('the words of an answer', () => {
  test('are those of its Status', () => {
    const error = apiErrorOfBody('POST pods', 403, status({ message: 'exceeded quota' }))
    expect(error).toMatchObject({ words: 'exceeded quota', message: 'POST pods: exceeded quota (403 Forbidden)' })
  })

  test("are a proxy's text, where it is no Status", () => {
    const error = apiErrorOfBody('POST pods', 503, 'no healthy upstream\n')
    expect(error).toMatchObject({ words: 'no healthy upstream', reason: 'ServiceUnavailable' })
  })

  test.each([
    ['a Status without a message', status({})],
    ['a Status with an empty message', status({ message: ' ' })],
    ['an empty body', ''],
  ])('say what the answer was, where it explains nothing: %s', (_, body) => {
    const words = 'it answered 403 Forbidden, without an explanation'
    expect(apiErrorOfBody('POST pods', 403, body)).toMatchObject({ words, message: `POST pods: ${words}` })
  })
})

test('a namespace that is being deleted is known by the cause', () => {
  const details = {
    name: 'dev',
    kind: 'pods',
    causes: [
      { reason: 'NamespaceTerminating', message: 'namespace a is being terminated', field: 'metadata.namespace' },
    ],
  }
  expect(isOfEndingNamespace(apiErrorOfBody('POST pods', 403, status({ details })))).toBe(true)
  expect(isOfEndingNamespace(apiErrorOfBody('POST pods', 403, status({ details: { name: 'dev' } })))).toBe(false)
})
