import { describe, expect, test } from 'vitest'
import type { StorageClass } from '../../kube/resources.ts'
import { genClaim, genInstance, genOverlay } from '../../test/gen/objects.ts'
import { lookForTroubleMs, provisioningTrouble, waitsForConsumer } from './provisioning.ts'

const created = '2026-01-01T00:00:00Z'
const later = (seconds: number): Date => new Date(Date.parse(created) + seconds * 1000)
const claimOfClass = (storageClassName: string) =>
  genClaim('lamina-work', { metadata: { creationTimestamp: created }, spec: { storageClassName } })
const free = genOverlay('work')
const wanted = genOverlay('work', {
  status: {
    attachments: [{ instanceUID: 'u', instanceName: 'dev', access: 'ReadWrite', attachTime: created }],
  },
})

/** What has been said of the claim, and how often that has been asked for. */
const world = (seconds: number, { words, starting = 1 }: { words?: string; starting?: number } = {}) => {
  const asked: string[] = []
  const classOf = (name: string, volumeBindingMode: string): StorageClass => ({
    ...{ metadata: genClaim(name).metadata, provisioner: 'p' },
    volumeBindingMode,
  })
  const classes = [classOf('lazy', 'WaitForFirstConsumer'), classOf('eager', 'Immediate')]
  return {
    asked,
    context: {
      claimTroubles: async ({ metadata: { name } }: { metadata: { name: string } }) => {
        asked.push(name)
        return words
      },
      caches: {
        storageClasses: {
          get: ({ name }: { name: string }) => classes.find(({ metadata }) => metadata.name === name),
        },
        instances: {
          by: () =>
            Array.from({ length: starting }, (_, index) =>
              genInstance(`dev-${index}`, { metadata: { creationTimestamp: created } }),
            ),
        },
      },
      clock: { now: () => later(seconds) },
    },
  }
}

test.each([
  ['lazy', true],
  ['eager', false],
  ['unknown', false],
])('a claim of class %s waits for its first consumer: %s', (name, waits) => {
  expect(waitsForConsumer(world(0).context, claimOfClass(name))).toBe(waits)
})

describe('what keeps a volume from being made', () => {
  test('is asked for when the provisioner has had time', async () => {
    const { context, asked } = world(10, { words: 'no space' })
    expect(await provisioningTrouble(context, claimOfClass('eager'), free)).toBe('no space')
    expect(asked).toEqual(['lamina-work'])
  })

  test.each([
    ['a moment after the claim was made', 9, 'eager', free],
    ['while nobody wants the volume yet', 600, 'lazy', free],
    ['a moment after somebody wants it', 9, 'lazy', wanted],
  ])('is not asked for %s', async (_, seconds, name, overlay) => {
    const { context, asked } = world(seconds, { words: 'words' })
    expect(await provisioningTrouble(context, claimOfClass(name), overlay)).toBeUndefined()
    expect(asked).toEqual([])
  })

  test('is asked for later while many start', async () => {
    const askedAfter = (seconds: number) =>
      provisioningTrouble(world(seconds, { words: 'no space', starting: 11 }).context, claimOfClass('eager'), free)
    expect([await askedAfter(59), await askedAfter(60)]).toEqual([undefined, 'no space'])
  })

  test.each([
    [0, 10_000],
    [15, 15_000],
    [600, 60_000],
  ])('after %d s, is asked for again in %d ms', (seconds, ms) => {
    expect(lookForTroubleMs(world(seconds).context, claimOfClass('eager'), free)).toBe(ms)
  })
})
