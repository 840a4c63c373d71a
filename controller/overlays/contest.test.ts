import { describe, expect, test } from 'vitest'
import { condition, genOverlay } from '../../test/gen/objects.ts'
import { rivalOf } from './contest.ts'

const early = '2026-01-01T00:00:00Z'
const late = '2026-01-02T00:00:00Z'
const on = (storage: object, spec: object = {}) => ({ storage: { existingClaimName: 'mine', ...storage }, ...spec })
interface Stands {
  at?: string
  claimed?: boolean
  /** Reason of `Stalled`. */
  stalled?: string
  attached?: boolean
}
const attachment = { instanceUID: 'u', instanceName: 'dev', access: 'ReadOnly', attachTime: early }
const overlay = (name: string, spec: object, { at = early, claimed = false, stalled, attached = false }: Stands = {}) =>
  genOverlay(name, {
    spec,
    metadata: { creationTimestamp: at },
    status: {
      claim: claimed ? { name: 'mine', uid: 'uid-mine' } : undefined,
      conditions: stalled === undefined ? [] : [condition('Stalled', 'True', stalled)],
      ...(attached ? { attachments: [attachment] } : {}),
    },
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
    [
      'who waits for it, before one that came later',
      overlay('a', place, { stalled: 'ClaimTaken' }),
      overlay('b', place, { at: late }),
    ],
    [
      'who has it, before one that had it once and was put out',
      overlay('a', place, { at: late, claimed: true }),
      overlay('b', place, { at: early, claimed: true, stalled: 'ClaimTaken' }),
    ],
    [
      'who is in use, though it can be used no more',
      overlay('a', place, { at: late, claimed: true, stalled: 'SourceNotAllowed', attached: true }),
      overlay('b', place, { at: early, claimed: true }),
    ],
  ])('%s', (_, keeps, yields) => {
    expect(rivalOf(yields, [keeps, yields])).toBe(keeps)
    expect(rivalOf(keeps, [keeps, yields])).toBeUndefined()
  })
})

describe('what no instance can use keeps no place', () => {
  test.each([
    ['its access mode is not the claim’s', { stalled: 'AccessModeMismatch' }],
    ['its namespace lost the right, although it had the claim', { claimed: true, stalled: 'SourceNotAllowed' }],
  ])('%s', (_, stands) => {
    const useless = overlay('early', on({}), stands)
    expect(rivalOf(overlay('late', on({}), { at: late }), [useless])).toBeUndefined()
  })

  test('nor does what has no place itself: an image beside one that another’s directory would hold', () => {
    const image = overlay('image', on({ path: 'a/b.img' }), { claimed: true })
    const around = overlay('around', on({ path: 'a' }, { format: 'Directory' }), { stalled: 'ClaimTaken' })
    const beside = overlay('beside', on({ path: 'a/c.img' }), { at: late })
    const all = [image, around, beside]
    expect(all.map((each) => rivalOf(each, all)?.metadata.name)).toEqual([undefined, 'image', undefined])
  })

  test('and what was put out for it comes after who has the place now', () => {
    const back = overlay('early', on({}), { claimed: true, stalled: 'SourceNotAllowed' })
    const present = overlay('late', on({}), { at: late, claimed: true })
    expect(rivalOf(back, [back, present])).toBe(present)
  })
})
