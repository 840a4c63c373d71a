import { expect, test } from 'vitest'
import { awaitConnection } from './await-connection.ts'

const late = () => {
  const { promise, resolve } = Promise.withResolvers<{ terminate(): void }>()
  const closed = Promise.withResolvers<true>()
  return { connecting: promise, come: () => resolve({ terminate: () => closed.resolve(true) }), closed: closed.promise }
}

test('a connection that comes is the answer', async () => {
  const connection = { terminate: () => {} }
  expect(await awaitConnection(Promise.resolve(connection), new AbortController().signal)).toBe(connection)
})

test('Ctrl-C is heeded before the other side has answered, and what it opens later is closed', async () => {
  const { connecting, come, closed } = late()
  const interrupt = new AbortController()
  const waiting = awaitConnection(connecting, interrupt.signal)
  interrupt.abort(new Error('interrupted'))
  await expect(waiting).rejects.toThrow('interrupted')
  come()
  expect(await closed).toBe(true)
})

test('one that nobody answers is given up', async () => {
  const { connecting } = late()
  await expect(awaitConnection(connecting, new AbortController().signal, 20)).rejects.toThrow('no answer within 0.02 s')
})
