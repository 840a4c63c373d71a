import { PassThrough, Readable, Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { feed, heldBack } from './streams.ts'

test('input is not read before it is asked for: another try may want it', async () => {
  const source = Readable.from(['all of it'])
  const { stream, begin } = feed(source, () => undefined, new AbortController())
  await sleep(20)
  expect(stream.readableLength).toBe(0)
  begin()
  begin()
  expect(await text(stream)).toBe('all of it')
})

test('input waits while the other side is behind', async () => {
  const socket = { bufferedAmount: 2 ** 21, pause: () => {}, resume: () => {} }
  const { stream, begin } = feed(Readable.from(['first', 'second']), () => socket, new AbortController())
  begin()
  await sleep(50)
  expect(stream.read()?.toString()).toBe('first')
  socket.bufferedAmount = 0
  expect(await text(stream)).toBe('second')
})

test('the sender is held back while our side is slow, and goes on after', async () => {
  const said: string[] = []
  const socket = { bufferedAmount: 0, pause: () => said.push('pause'), resume: () => said.push('resume') }
  const slow = new PassThrough({ highWaterMark: 4 })
  const stream = heldBack(slow, () => socket)
  stream.write(Buffer.from('more than four'))
  stream.write(Buffer.from('which was on its way'))
  await sleep(10)
  expect(said).toEqual(['pause'])
  expect(slow.listenerCount('drain')).toBe(1)
  slow.pipe(new Writable({ write: (_chunk, _encoding, done) => done() }))
  await sleep(20)
  expect(said).toEqual(['pause', 'resume'])
})
