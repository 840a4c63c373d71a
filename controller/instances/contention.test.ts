import { describe, expect, test } from 'vitest'
import { blockedBy } from './contention.ts'

const since = '2026-01-01T12:00:00Z'
const told = (why: 'writer' | 'readers' | 'queue', names: string[], nodes: Record<string, string> = {}) =>
  blockedBy(
    { kind: 'blocked', overlay: 'work', by: names.map((name) => ({ name, since })), why },
    (name) => nodes[name],
  )

describe('an instance that waits is told who has the overlay, how, where and since when', () => {
  test.each([
    [
      'a writer',
      told('writer', ['dev'], { dev: 'n1' }),
      'overlay "work" is in use for writing by instance dev (on node n1, since 2026-01-01T12:00:00Z): this one starts by itself when that has ended',
    ],
    ['one whose pod has no node yet', told('writer', ['dev']), /dev \(not on a node yet, since/],
    [
      'readers',
      told('readers', ['a', 'b'], { a: 'n1', b: 'n2' }),
      /for reading by a \(on node n1, since .*\), b \(on node n2, since/,
    ],
    ['many readers', told('readers', ['a', 'b', 'c', 'd', 'e', 'f', 'g']), /e \(.*\) and 2 more: this one/],
    ['one that waits too', told('queue', ['first']), /instance first has waited since 2026.* and comes first/],
  ])('%s', (_, { reason, message }, words) => {
    expect(reason).toBe('OverlayInUse')
    expect(message).toMatch(words)
  })

  test('an overlay that is not there', () => {
    expect(blockedBy({ kind: 'missing', overlay: 'work' }, () => undefined)).toMatchObject({
      reason: 'OverlayNotFound',
      message: expect.stringContaining('"work"'),
    })
  })
})
