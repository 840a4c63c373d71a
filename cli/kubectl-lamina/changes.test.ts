import { expect, test } from 'vitest'
import { createChanges } from './changes.ts'

const object = (name: string, resourceVersion: string) => ({ metadata: { namespace: 'team', name, resourceVersion } })
const all = (...items: unknown[]) => ({ kind: 'all', items }) as const
const change = (type: 'ADDED' | 'MODIFIED' | 'DELETED', of: unknown) => ({ kind: 'change', type, object: of }) as const

test('a list after the first tells only what is new, what has changed, and what is gone', () => {
  const changesIn = createChanges()
  const [same, before, gone] = [object('same', '1'), object('other', '2'), object('gone', '3')]
  expect(changesIn(all(same, before, gone)).map(({ type }) => type)).toEqual(['ADDED', 'ADDED', 'ADDED'])
  const [after, added] = [object('other', '4'), object('new', '5')]
  expect(changesIn(all(same, after, added))).toEqual([
    { type: 'MODIFIED', object: after },
    { type: 'ADDED', object: added },
    { type: 'DELETED', object: gone },
  ])
})

test('what a watch has told is known to the list after it', () => {
  const changesIn = createChanges()
  changesIn(all(object('dev', '1')))
  expect(changesIn(change('MODIFIED', object('dev', '2')))).toHaveLength(1)
  expect(changesIn(change('ADDED', object('new', '3')))).toHaveLength(1)
  expect(changesIn(change('DELETED', object('dev', '4')))).toEqual([{ type: 'DELETED', object: object('dev', '4') }])
  expect(changesIn(all(object('new', '3')))).toEqual([])
})
