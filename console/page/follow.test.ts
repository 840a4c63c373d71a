import { describe, expect, test } from 'vitest'
import { instanceSchema } from '../../crds/instance.ts'
import { ApiError } from '../../kube/api-error.ts'
import { createManualClock } from '../../kube/testing/manual-clock.ts'
import { type Followed, follow } from './follow.ts'

type Instances = Followed<{ metadata: { name: string } }>

const json = (name: string) => ({ metadata: { name }, spec: { imageRef: { name: 'debian' } } })
const listed = (...names: string[]) => ({ items: names.map(json), resourceVersion: '5' })

/** Follows an API whose next answers are given; tells what was told. */
const start = (answers: ({ items: unknown[]; resourceVersion: string } | Error)[]) => {
  const clock = createManualClock()
  const end = new AbortController()
  const told: Instances[] = []
  const watches: { heard(event: unknown): void; end(): void }[] = []
  const done = follow(
    {
      list: async () => {
        const answer = answers.shift()
        if (answer === undefined || answer instanceof Error) throw answer ?? new Error('no more answers')
        return answer
      },
      watch: (_at, heard, signal) =>
        new Promise((resolve) => {
          watches.push({ heard, end: resolve })
          signal.addEventListener('abort', () => resolve())
        }),
    },
    { namespace: 'team', plural: 'instances', schema: instanceSchema },
    (followed) => told.push(followed),
    end.signal,
    clock,
  )
  const names = () => told.at(-1)?.objects?.map(({ metadata }) => metadata.name)
  const settle = () => new Promise((resolve) => setTimeout(resolve))
  const stop = async (): Promise<void> => {
    end.abort()
    await done
  }
  return { clock, told, watches, names, settle, stop }
}

describe('what is there', () => {
  test('is told by name, and after each change', async () => {
    const { watches, names, settle, stop } = start([listed('b', 'a')])
    await settle()
    expect(names()).toEqual(['a', 'b'])
    watches[0]?.heard({ type: 'ADDED', object: json('c') })
    expect(names()).toEqual(['a', 'b', 'c'])
    watches[0]?.heard({ type: 'DELETED', object: json('a') })
    watches[0]?.heard({ type: 'BOOKMARK', object: { metadata: { resourceVersion: '9' } } })
    expect(names()).toEqual(['b', 'c'])
    await stop()
  })

  test('is listed again when the watch has ended, after a pause', async () => {
    const { clock, watches, names, settle, stop } = start([listed('a'), listed('b')])
    await settle()
    watches[0]?.end()
    await settle()
    expect(names()).toEqual(['a'])
    await clock.advance(500)
    await settle()
    expect(names()).toEqual(['b'])
    await stop()
  })

  test('is listed again when the watch should long have ended, and is cut off by somebody on the way', async () => {
    const { clock, names, settle, stop } = start([listed('a'), listed('b')])
    await settle()
    await clock.advance(329_000)
    expect(names()).toEqual(['a'])
    await clock.advance(2_000)
    await settle()
    expect(names()).toEqual(['b'])
    await stop()
    expect(clock.pending()).toBe(0)
  })

  test('leaves out what a newer version may have made', async () => {
    const { names, settle, stop } = start([
      { ...listed('a'), items: [json('a'), { metadata: { name: 'b' }, spec: {} }] },
    ])
    await settle()
    expect(names()).toEqual(['a'])
    await stop()
  })

  test('is not told to somebody who has gone elsewhere', async () => {
    const { told, watches, settle, stop } = start([listed('a')])
    await settle()
    await stop()
    watches[0]?.heard({ type: 'ADDED', object: json('b') })
    expect(told).toHaveLength(1)
  })
})

describe('when it cannot be listed', () => {
  const refused = (status: number) => new ApiError('GET', { status, reason: 'X', words: `words of ${status}` })

  test('what was there stays, with the reason', async () => {
    const { clock, told, watches, settle, stop } = start([listed('a'), refused(503)])
    await settle()
    watches[0]?.end()
    await settle()
    await clock.advance(500)
    await settle()
    expect(told.at(-1)).toMatchObject({ objects: [{ metadata: { name: 'a' } }], trouble: 'words of 503' })
    await stop()
  })

  test.each([
    [403, 'words of 403'],
    [401, 'the token is not accepted any more: sign out, and in again'],
  ])('after %d it is not shown any more', async (status, trouble) => {
    const { clock, told, watches, settle, stop } = start([listed('a'), refused(status)])
    await settle()
    watches[0]?.end()
    await settle()
    await clock.advance(500)
    await settle()
    expect(told.at(-1)).toEqual({ objects: undefined, trouble })
    await stop()
  })
})

test("an event that is the watch's own failure ends it", async () => {
  const { watches, settle, stop } = start([listed('a')])
  await settle()
  const gone = { type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired', message: 'too old' } }
  expect(() => watches[0]?.heard(gone)).toThrow('too old')
  await stop()
})
