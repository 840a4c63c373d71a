import { expect, test } from 'vitest'
import { isWaitAhead, type Telling, tellWhileCompiling } from './first-minutes.ts'

test.each([
  { isClusterUp: false, areBinariesBuilt: false, told: true },
  { isClusterUp: false, areBinariesBuilt: true, told: false },
  // Of an earlier build: it is used as it is.
  { isClusterUp: true, areBinariesBuilt: false, told: false },
])('the local story is told only where a wait is ahead: %o', ({ told, ...beginning }) => {
  expect(isWaitAhead(beginning)).toBe(told)
})

/** A compile that lasts until it is ended, and what happens in which order. */
const begin = (tell: (signal: AbortSignal) => Promise<void>) => {
  const events: string[] = []
  const compiling = Promise.withResolvers<void>()
  const interruption = new AbortController()
  const telling: Telling & { givesWay?: () => boolean } = {
    compile: ({ givesWay, signal }) => {
      telling.givesWay = givesWay
      signal.addEventListener('abort', () => {
        events.push('compile ended')
        compiling.reject(signal.reason)
      })
      return compiling.promise
    },
    tell,
    raise: () => void events.push('raised'),
  }
  const told = tellWhileCompiling(telling, () => void events.push('compile failed'), interruption.signal)
  told.catch(() => {})
  return { events, compiling, interruption, told, givesWay: () => telling.givesWay?.() }
}

test('the compile gives way as long as the story is told, and is then waited for', async () => {
  const story = Promise.withResolvers<void>()
  const { events, compiling, told, givesWay } = begin(() => story.promise)
  expect(givesWay()).toBe(true)
  story.resolve()
  await expect.poll(() => events).toEqual(['raised'])
  expect(givesWay()).toBe(false)
  compiling.resolve()
  await told
})

test('a story that fails ends the compile, and is what it ends with', async () => {
  const { events, told } = begin(async () => {
    throw new Error('/foo is there')
  })
  await expect(told).rejects.toThrow('/foo is there')
  expect(events).toEqual(['compile ended'])
})

test('a compile that fails is told at once, does not cut the story short, and is what it ends with', async () => {
  const story = Promise.withResolvers<void>()
  const { events, compiling, told } = begin(() => story.promise)
  compiling.reject(new Error('Go 1.26 is needed'))
  await expect.poll(() => events).toEqual(['compile failed'])
  story.resolve()
  await expect(told).rejects.toThrow('Go 1.26 is needed')
})

test('an interruption ends both, and neither counts as failed', async () => {
  const { events, interruption, told } = begin(
    (signal) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
  )
  interruption.abort(new Error('interrupted'))
  await expect(told).rejects.toThrow('interrupted')
  expect(events).toEqual(['compile ended'])
})
