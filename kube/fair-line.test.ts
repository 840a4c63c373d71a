import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createFairLine } from './fair-line.ts'

const lineOf = (...keys: string[]) => {
  const line = createFairLine()
  for (const key of keys) line.add(key, 0)
  return line
}
const drain = (line: ReturnType<typeof createFairLine>): string[] => {
  const taken: string[] = []
  for (let next = line.next(); next; next = line.next()) taken.push(next.key)
  return taken
}

test('namespaces take turns, and in each the first come is the first served', () => {
  expect(drain(lineOf('a/1', 'a/2', 'a/3', 'b/1', 'c/1', 'b/2'))).toEqual(['a/1', 'b/1', 'c/1', 'a/2', 'b/2', 'a/3'])
})

test('a namespace’s ten thousand keep another’s waiting for one turn', () => {
  const line = lineOf(...Array.from({ length: 10_000 }, (_, i) => `crowd/${i}`))
  line.next()
  line.add('alone/1', 0)
  expect([line.next()?.key, line.next()?.key]).toEqual(['crowd/1', 'alone/1'])
})

test('what is urgent has every other turn of its own namespace, and none of another', () => {
  const line = lineOf('a/1', 'a/2', 'b/1')
  for (const key of ['a/urgent-1', 'a/urgent-2', 'a/urgent-3']) line.add(key, 0, 'urgent')
  expect(line.has('a/urgent-1')).toBe(true)
  expect(drain(line)).toEqual(['a/urgent-1', 'b/1', 'a/1', 'a/urgent-2', 'a/2', 'a/urgent-3'])
})

test('objects of the cluster have a turn too', () => {
  expect(drain(lineOf('/node-1', '/node-2', 'a/1'))).toEqual(['/node-1', 'a/1', '/node-2'])
})

test('tells since when who comes next has waited, and forgets all at once', () => {
  const line = createFairLine()
  line.add('a/1', 17)
  line.add('a/2', 18)
  expect(line.next()).toEqual({ key: 'a/1', since: 17 })
  expect([line.has('a/1'), line.has('a/2'), line.size()]).toEqual([false, true, 1])
  line.clear()
  expect([line.has('a/2'), line.size(), line.next()]).toEqual([false, 0, undefined])
})

test('nobody is lost, served twice, or made to wait for more turns of any other namespace than it has before it of its own', () => {
  const keys = fc.uniqueArray(fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.nat(30)).map(([ns, i]) => `${ns}/${i}`))
  fc.assert(
    fc.property(keys, (given) => {
      const taken = drain(lineOf(...given))
      expect(taken.toSorted()).toEqual(given.toSorted())
      const turns = new Map<string, number>()
      for (const key of taken) {
        const [namespace = ''] = key.split('/')
        turns.set(namespace, (turns.get(namespace) ?? 0) + 1)
        const left = new Set(taken.slice(taken.indexOf(key) + 1).map((each) => each.split('/')[0]))
        for (const other of left) {
          expect((turns.get(namespace) ?? 0) - (turns.get(other ?? '') ?? 0)).toBeLessThanOrEqual(1)
        }
      }
    }),
  )
})
