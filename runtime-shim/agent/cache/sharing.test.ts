import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { NodeLayout } from '../../node/layout.ts'
import { createConversions } from './testing/conversions.ts'
import { digestOf, forever, wanted } from './testing/images.ts'
import { makeLayout, removeLayout } from './testing/plant.ts'

let layout: NodeLayout
beforeEach(() => {
  layout = makeLayout()
})
afterEach(() => removeLayout(layout))

test('who ends waits no longer and hears no more, and the work goes on for the others', async () => {
  const { cache, ends, settled, started } = createConversions(layout)
  const heard: string[] = []
  const ending = new AbortController()
  const first = cache.ensure(wanted('a', { onProgress: (line) => heard.push(line) }), ending.signal)
  await settled(1)
  const second = cache.ensure(wanted(), forever)
  ending.abort()
  expect(await first).toBeUndefined()
  started[0]?.onProgress('late')
  expect(heard).toEqual([])
  ends[0]?.()
  expect(await second).toBeDefined()
})

describe('work for which nobody waits any more', () => {
  test('is ended while it is under way; who asks then has it begun anew', async () => {
    const { cache, settled, started, ends } = createConversions(layout)
    const ending = new AbortController()
    const asked = cache.ensure(wanted(), ending.signal)
    await settled(1)
    ending.abort()
    expect(await asked).toBeUndefined()
    await vi.waitFor(() => expect(started[0]?.signal.aborted).toBe(true))
    const again = cache.ensure(wanted(), forever)
    ends[0]?.(new Error('aborted'))
    await settled(2)
    expect(started[1]?.signal.aborted).toBe(false)
    ends[1]?.()
    expect(await again).toEqual({ user: 'worker' })
  })

  test('is not begun, and is not counted as failed', async () => {
    const told: string[] = []
    const { cache, settled, started, ends } = createConversions(layout, {
      onFetched: ({ result }) => told.push(result),
    })
    const ending = new AbortController()
    const all = ['a', 'b'].map((letter) => cache.ensure(wanted(letter), forever))
    await settled(2)
    const asked = cache.ensure(wanted('c'), ending.signal)
    ending.abort()
    expect(await asked).toBeUndefined()
    for (const end of ends) end()
    await Promise.all(all)
    expect(cache.find(digestOf('c'))).toBeUndefined()
    expect(started).toHaveLength(2)
    expect(told).toEqual(['success', 'success'])
  })

  test('leaves no start waiting behind prefetches', async () => {
    const { cache, settled, started, ends } = createConversions(layout)
    const prefetches = ['a', 'b'].map((letter) => cache.ensure(wanted(letter, { beforehand: true }), forever))
    await settled(1)
    const start = cache.ensure(wanted('b'), forever)
    await settled(2)
    expect(started.map(({ digest }) => digest)).toEqual([digestOf('a'), digestOf('b')])
    for (const end of ends) end()
    await Promise.all([...prefetches, start])
  })

  test("keeps no other namespace's images waiting, though its own have all places", async () => {
    const { cache, settled, started, ends } = createConversions(layout)
    const all = [
      cache.ensure(wanted('a', { namespace: 'one' }), forever),
      cache.ensure(wanted('b', { namespace: 'one' }), forever),
      cache.ensure(wanted('c', { namespace: 'two' }), forever),
    ]
    await settled(3)
    expect(started.map(({ digest }) => digest).toSorted()).toEqual(['a', 'b', 'c'].map(digestOf))
    for (const end of ends) end()
    await Promise.all(all)
  })
})
