import { expect, test } from 'vitest'
import { createLimiter, type Turn } from './limiter.ts'

const never = new AbortController().signal

/** Places that are kept until the test gives them back. */
const createPlaces = (most: number, beforehandAtOnce?: number) => {
  const limiter = createLimiter({ work: most, other: most }, beforehandAtOnce)
  const running: string[] = []
  const ends = new Map<string, () => void>()
  const enter = (name: string, turn: Partial<Turn<'work' | 'other'>> = {}): Promise<void> =>
    limiter.run({ kind: 'work', beforehand: () => false, signal: never, ...turn }, async () => {
      running.push(name)
      await new Promise<void>((resolve) => ends.set(name, resolve))
      running.splice(running.indexOf(name), 1)
    })
  /** Lets what may run begin. */
  const settle = () => new Promise((resolve) => setImmediate(resolve))
  const seen = async (): Promise<string[]> => {
    await settle()
    return running
  }
  const end = async (name: string): Promise<void> => {
    await settle()
    ends.get(name)?.()
  }
  return { enter, end, seen, limiter }
}

const of = (namespace: string) => ({ namespace })
const beforehand = { beforehand: () => true }

test('so many run at a time, the others in the order of their coming', async () => {
  const { enter, end, seen } = createPlaces(2)
  for (const name of ['a', 'b', 'c', 'd']) void enter(name)
  expect(await seen()).toEqual(['a', 'b'])
  await end('b')
  expect(await seen()).toEqual(['a', 'c'])
})

test('what nobody waits for gets half of the places, and goes after what somebody waits for', async () => {
  const { enter, end, seen } = createPlaces(4)
  for (const name of ['p1', 'p2', 'p3']) void enter(name, beforehand)
  expect(await seen()).toEqual(['p1', 'p2'])
  for (const name of ['s1', 's2', 's3']) void enter(name)
  expect(await seen()).toEqual(['p1', 'p2', 's1', 's2'])
  await end('p1')
  expect(await seen()).toEqual(['p2', 's1', 's2', 's3'])
})

test('each kind has places of its own', async () => {
  const { enter, seen } = createPlaces(1)
  for (const name of ['a', 'b']) void enter(name)
  for (const name of ['c', 'd']) void enter(name, { kind: 'other' })
  expect(await seen()).toEqual(['a', 'c'])
})

test('of all kinds together only so many run that nobody waits for', async () => {
  const { enter, end, seen } = createPlaces(4, 1)
  void enter('p1', beforehand)
  void enter('p2', { ...beforehand, kind: 'other' })
  void enter('s1', { kind: 'other' })
  expect(await seen()).toEqual(['p1', 's1'])
  await end('p1')
  expect(await seen()).toEqual(['s1', 'p2'])
})

test('what was for nobody runs when somebody waits for it', async () => {
  const { enter, seen, limiter } = createPlaces(2)
  let isAwaited = false
  void enter('p1', beforehand)
  void enter('p2', { beforehand: () => !isAwaited })
  expect(await seen()).toEqual(['p1'])
  isAwaited = true
  limiter.look()
  expect(await seen()).toEqual(['p1', 'p2'])
})

test('one namespace gets all places while no other waits', async () => {
  const { enter, seen } = createPlaces(4)
  for (const name of ['a1', 'a2', 'a3', 'a4', 'a5']) void enter(name, of('a'))
  expect(await seen()).toEqual(['a1', 'a2', 'a3', 'a4'])
})

test('what it has beyond its half takes no place from others, however long it takes', async () => {
  const { enter, end, seen } = createPlaces(4)
  for (const name of ['a1', 'a2', 'a3', 'a4', 'a5']) void enter(name, of('a'))
  for (const name of ['b1', 'b2', 'b3']) void enter(name, of('b'))
  expect(await seen()).toEqual(['a1', 'a2', 'a3', 'a4', 'b1', 'b2'])
  await end('a1')
  await end('a2')
  expect(await seen()).toEqual(['a3', 'a4', 'b1', 'b2'])
  await end('a3')
  expect(await seen()).toEqual(['a4', 'b1', 'b2', 'a5'])
})

test('the namespace with the fewest running comes first', async () => {
  const { enter, end, seen } = createPlaces(4)
  for (const name of ['a1', 'b1', 'a2', 'b2', 'a3', 'b3']) void enter(name, of(name.slice(0, 1)))
  void enter('c1', of('c'))
  await end('a1')
  expect(await seen()).toEqual(['b1', 'a2', 'b2', 'c1'])
})

test('who is called off while he waits gets no place, and the others get theirs', async () => {
  const { enter, end, seen } = createPlaces(1)
  const off = new AbortController()
  void enter('a')
  const calledOff = enter('b', { signal: off.signal })
  void enter('c')
  off.abort(new Error('called off'))
  await expect(calledOff).rejects.toThrow('called off')
  await end('a')
  expect(await seen()).toEqual(['c'])
  await expect(enter('d', { signal: off.signal })).rejects.toThrow('called off')
})

test('what fails gives its place back', async () => {
  const { enter, seen, limiter } = createPlaces(1)
  const turn = { kind: 'work', beforehand: () => false, signal: never } as const
  await expect(limiter.run(turn, () => Promise.reject(new Error('failed')))).rejects.toThrow('failed')
  void enter('a')
  expect(await seen()).toEqual(['a'])
})
