import { describe, expect, test } from 'vitest'
import { genOverlay } from '../../test/gen/objects.ts'
import { rivalOf } from './contest.ts'

const early = '2026-01-01T00:00:00Z'
const late = '2026-01-02T00:00:00Z'
const on = (storage: object, spec: object = {}) => ({ storage: { existingClaimName: 'mine', ...storage }, ...spec })
const overlay = (name: string, spec: object, { at = early, claimed = false } = {}) =>
  genOverlay(name, {
    spec,
    metadata: { creationTimestamp: at },
    status: { claim: claimed ? { name: 'mine', uid: 'uid-mine' } : undefined },
  })
const rivals = (one: object, other: object) =>
  rivalOf(overlay('late', one, { at: late }), [overlay('early', other)])?.metadata.name

describe('two overlays in one place of a claim: the later is refused', () => {
  test.each([
    ['the same image', on({}), on({})],
    ['the same path, written differently', on({ path: 'a/b.img' }), on({ path: 'a//b.img' })],
    ['the same device', on({ volumeMode: 'Block' }), on({ volumeMode: 'Block' })],
    ['an image inside of a directory', on({ path: 'a/b.img' }), on({ path: 'a' }, { format: 'Directory' })],
    ['a directory around an image', on({ path: 'a' }, { format: 'Directory' }), on({ path: 'a/b.img' })],
    ['an image in a volume that is a directory whole', on({}), on({}, { format: 'Directory' })],
  ])('%s', (_, one, other) => {
    expect(rivals(one, other)).toBe('early')
  })

  test.each([
    ['another path', on({ path: 'a.img' }), on({ path: 'b.img' })],
    ['a path that only begins alike', on({ path: 'tools.img' }), on({ path: 'tools' })],
    ['another claim', on({}), { storage: { existingClaimName: 'yours' } }],
    ['claims of their own', {}, {}],
  ])('not of %s', (_, one, other) => {
    expect(rivals(one, other)).toBeUndefined()
  })
})

describe('who keeps the place', () => {
  const place = on({})
  test.each([
    ['the older', overlay('a', place, { at: early }), overlay('b', place, { at: late })],
    ['of the same second, the smaller uid', overlay('a', place), overlay('b', place)],
    [
      'who has it already, however old the other is',
      overlay('a', place, { at: late, claimed: true }),
      overlay('b', place, { at: early }),
    ],
  ])('%s', (_, keeps, yields) => {
    expect(rivalOf(yields, [keeps, yields])).toBe(keeps)
    expect(rivalOf(keeps, [keeps, yields])).toBeUndefined()
  })
})
