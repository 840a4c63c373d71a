import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { OverlayUse } from '../../crds/instance.ts'
import type { Attachment, PersistentOverlay } from '../../crds/persistent-overlay.ts'
import { genOverlay, genResolved } from '../../test/gen/objects.ts'
import { allocate, type Claimant } from './allocate.ts'

const now = '2026-01-01T12:00:00Z'
const write = (name: string): OverlayUse => ({ name, access: 'ReadWrite' })
const read = (name: string): OverlayUse => ({ name, access: 'ReadOnly' })
const claimant = (name: string, overlays: OverlayUse[], since = now): Claimant => ({
  uid: `uid-${name}`,
  name,
  overlays,
  since,
  waits: true,
})
const held = (name: string, ...by: [string, Attachment['access']][]): [string, PersistentOverlay] => [
  name,
  genOverlay(name, {
    status: {
      attachments: by.map(([instanceName, access]) => ({
        instanceUID: `uid-${instanceName}`,
        instanceName,
        access,
        attachTime: now,
      })),
    },
  }),
]
const allocated = (who: Claimant, overlays: [string, PersistentOverlay][], others: Claimant[] = []) =>
  allocate(who, new Map(overlays), others, now)

describe('allocate', () => {
  test('a free overlay is claimed for writing', () => {
    const result = allocated(claimant('dev', [write('work')]), [held('work')])
    expect(result).toMatchObject({
      kind: 'granted',
      claims: [{ writes: true, attachments: [{ instanceUID: 'uid-dev', access: 'ReadWrite', attachTime: now }] }],
    })
  })

  test('what is held already needs no write, but of a writer whose image is not known', () => {
    const [name, overlay] = held('work', ['dev', 'ReadWrite'])
    const writer = claimant('dev', [write('work')])
    expect(allocated(writer, [[name, overlay]])).toEqual({
      kind: 'granted',
      claims: [{ overlay, attachments: overlay.status.attachments, writes: true }],
    })
    const { reference, digest, platform, config } = genResolved('a')
    const known = { ...overlay, status: { ...overlay.status, base: { reference, digest, platform, config } } }
    expect(allocated(writer, [[name, known]])).toEqual({ kind: 'granted', claims: [] })
  })

  test('readers share; the new one is added to those there', () => {
    const result = allocated(claimant('second', [read('docs')]), [held('docs', ['first', 'ReadOnly'])])
    expect(result.kind === 'granted' && result.claims[0]?.attachments.map(({ instanceName }) => instanceName)).toEqual([
      'first',
      'second',
    ])
  })

  test.each([
    ['a writer keeps out a writer', write('o'), 'ReadWrite', 'writer'],
    ['a writer keeps out a reader', read('o'), 'ReadWrite', 'writer'],
    ['readers keep out a writer', write('o'), 'ReadOnly', 'readers'],
  ] as const)('%s, and is named', (_, use, holds, why) => {
    const result = allocated(claimant('late', [use]), [held('o', ['holder', holds])])
    expect(result).toEqual({ kind: 'blocked', overlay: 'o', by: [{ name: 'holder', since: now }], why })
  })

  test('all or none: one that is taken leaves the free one unclaimed', () => {
    const result = allocated(claimant('dev', [write('free'), read('taken')]), [
      held('free'),
      held('taken', ['other', 'ReadWrite']),
    ])
    expect(result).toMatchObject({ kind: 'blocked', overlay: 'taken' })
  })

  test('a missing overlay is named', () => {
    expect(allocated(claimant('dev', [write('nowhere')]), [])).toEqual({ kind: 'missing', overlay: 'nowhere' })
  })

  test('a writer that waits comes before a later reader, though readers have it', () => {
    const writer = claimant('writer', [write('docs')], '2026-01-01T11:00:00Z')
    const result = allocated(claimant('reader', [read('docs')]), [held('docs', ['old', 'ReadOnly'])], [writer])
    const by = [{ name: 'writer', since: '2026-01-01T11:00:00Z' }]
    expect(result).toEqual({ kind: 'blocked', overlay: 'docs', by, why: 'queue' })
  })

  test('a reader that waits does not keep out another reader', () => {
    const other = claimant('other', [read('docs')], '2026-01-01T11:00:00Z')
    expect(allocated(claimant('reader', [read('docs')]), [held('docs')], [other]).kind).toBe('granted')
  })

  test('within a second, who waits already is first', () => {
    const writer = claimant('z-writer', [write('docs')])
    const reader = { ...claimant('a-reader', [read('docs')]), waits: false }
    expect(allocated(reader, [held('docs', ['old', 'ReadOnly'])], [writer])).toMatchObject({ why: 'queue' })
  })

  test('of two that wait since one second, the writer is first', () => {
    const writer = claimant('z-writer', [write('docs')])
    const reader = claimant('a-reader', [read('docs')])
    expect(allocated(reader, [held('docs', ['old', 'ReadOnly'])], [writer])).toMatchObject({ why: 'queue' })
  })

  test('of two writers that wait since one second, the smaller uid is first', () => {
    const a = claimant('a', [write('o')])
    const b = claimant('b', [write('o')])
    expect(allocated(a, [held('o')], [b]).kind).toBe('granted')
    expect(allocated(b, [held('o')], [a]).kind).toBe('blocked')
  })

  const uses = fc.uniqueArray(
    fc.record({
      name: fc.constantFrom('x', 'y', 'z'),
      access: fc.constantFrom('ReadWrite' as const, 'ReadOnly' as const),
    }),
    { selector: ({ name }) => name, minLength: 1 },
  )
  test('whoever comes, in whatever order: never a writer beside another, and all come to run in the end', () => {
    fc.assert(
      fc.property(fc.array(uses, { minLength: 1, maxLength: 6 }), (wishes) => {
        const overlays = new Map(['x', 'y', 'z'].map((name) => held(name)))
        let waiting = wishes.map((overlays_, index) => claimant(`i${index}`, overlays_, `2026-01-01T00:00:0${index}Z`))
        while (waiting.length > 0) {
          const granted = waiting.filter((who) => {
            const result = allocate(who, overlays, waiting, now)
            if (result.kind !== 'granted') return false
            for (const { overlay, attachments } of result.claims) {
              overlays.set(overlay.metadata.name, { ...overlay, status: { ...overlay.status, attachments } })
              const writers = attachments.filter(({ access }) => access === 'ReadWrite')
              expect(writers.length === 0 || attachments.length === 1).toBe(true)
            }
            return true
          })
          expect(granted.length).toBeGreaterThan(0)
          for (const [name, overlay] of overlays)
            overlays.set(name, { ...overlay, status: { ...overlay.status, attachments: [] } })
          waiting = waiting.filter((who) => !granted.includes(who))
        }
      }),
    )
  })
})
