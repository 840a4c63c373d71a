import { describe, expect, test } from 'vitest'
import { createCache } from './cache.ts'
import { type Widget, widget } from './testing/fake-kind.ts'

const none: ReadonlySet<string> = new Set()
const byColor = { color: ({ color }: Widget) => [color] }
const names = (widgets: Widget[]) => widgets.map(({ metadata }) => metadata.name)

describe('a cache', () => {
  test('tells what a put changed', () => {
    const cache = createCache<Widget>()
    const first = widget('a', 1)
    const second = widget('a', 2, 'blue')
    expect(cache.put(first)).toEqual([{ type: 'added', object: first }])
    expect(cache.put(second)).toEqual([{ type: 'updated', object: second, old: first }])
    expect(cache.get('ns/a')).toBe(second)
  })

  test('puts nothing older, or the same again, in place of what is there; versions compare as numbers', () => {
    const cache = createCache<Widget>()
    const newer = widget('a', 10)
    cache.put(newer)
    expect(cache.put(widget('a', 9))).toEqual([])
    expect(cache.put(widget('a', 10))).toEqual([])
    expect(cache.get('ns/a')).toBe(newer)
  })

  test('an object made again under the same name is a deletion and an addition', () => {
    const cache = createCache<Widget>()
    const before = widget('a', 1, 'red', 'one')
    const after = widget('a', 5, 'red', 'two')
    cache.put(before)
    expect(cache.put(after)).toEqual([
      { type: 'deleted', object: before },
      { type: 'added', object: after },
    ])
    expect(cache.remove('ns/a', 4), 'the old deletion, late').toEqual([])
    expect(cache.get('ns/a')).toBe(after)
  })

  test('finds by index, also after a change and a removal', () => {
    const cache = createCache<Widget>(byColor)
    cache.put(widget('a', 1, 'red'))
    cache.put(widget('b', 2, 'red'))
    expect(names(cache.by('color', 'red'))).toEqual(['a', 'b'])
    cache.put(widget('a', 3, 'blue'))
    expect(names(cache.by('color', 'red'))).toEqual(['b'])
    expect(names(cache.by('color', 'blue'))).toEqual(['a'])
    cache.remove('ns/b', 4)
    expect(cache.by('color', 'red')).toEqual([])
  })

  test('an index that there is not is a mistake of the caller', () => {
    expect(() => createCache<Widget>(byColor).by('colour', 'red')).toThrow('no index "colour": there are color')
  })

  test('a list deletes what is not in it, but not what was noted since', () => {
    const cache = createCache<Widget>()
    const gone = widget('gone', 1)
    cache.put(gone)
    cache.put(widget('noted', 12))
    const added = widget('new', 9)
    expect(cache.replace([added], 10, none)).toEqual([
      { type: 'deleted', object: gone },
      { type: 'added', object: added },
    ])
    expect(names(cache.list())).toEqual(['noted', 'new'])
  })

  test('a list does not undo what was noted since', () => {
    const cache = createCache<Widget>()
    cache.put(widget('a', 12, 'blue'))
    expect(cache.replace([widget('a', 9, 'red')], 10, none)).toEqual([])
    expect(cache.get('ns/a')?.color).toBe('blue')
  })

  test('a list keeps the last readable state of what it holds but cannot be read', () => {
    const cache = createCache<Widget>()
    cache.put(widget('a', 1))
    expect(cache.replace([], 10, new Set(['ns/a']))).toEqual([])
    expect(cache.get('ns/a')).toBeDefined()
  })

  test('a list older than what was seen is one of restored data, and replaces everything', () => {
    const cache = createCache<Widget>(byColor)
    const later = widget('a', 90, 'blue')
    const lost = widget('lost', 95)
    cache.replace([later, lost], 100, none)
    const restored = widget('a', 40, 'red')
    expect(cache.replace([restored], 50, none)).toEqual([
      { type: 'deleted', object: lost },
      { type: 'deleted', object: later },
      { type: 'added', object: restored },
    ])
    expect(cache.completeTo()).toBe(50)
    expect(names(cache.by('color', 'red'))).toEqual(['a'])
  })

  test('of restored data that cannot be read nothing is known: what was there before would hide its next state', () => {
    const cache = createCache<Widget>()
    const before = widget('a', 90, 'blue')
    cache.replace([before], 100, none)
    expect(cache.replace([], 50, new Set(['ns/a']))).toEqual([{ type: 'deleted', object: before }])
    const readable = widget('a', 51, 'red')
    expect(cache.put(readable)).toEqual([{ type: 'added', object: readable }])
  })
})
