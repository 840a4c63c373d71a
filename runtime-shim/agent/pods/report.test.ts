import { describe, expect, test } from 'vitest'
import type { PersistentOverlay } from '../../../crds/persistent-overlay.ts'
import type { KubeClient } from '../../../kube/client.ts'
import { condition, genOverlay } from '../../../test/gen/objects.ts'
import type { Figures } from '../../node/ticket.ts'
import { createOverlayReporter, type Found, healthOf } from './report.ts'

const figures: Figures = {
  needsRecovery: false,
  errorCount: 0,
  blockSize: 1024,
  blocks: 1000,
  freeBlocks: 500,
  inodes: 100,
  freeInodes: 50,
}
const withErrors = { ...figures, errorCount: 3 }
const dirty = { ...figures, needsRecovery: true }

describe('the condition Healthy', () => {
  const verdict = (found: Partial<Found>, before?: string) => {
    const isBad = before === 'FileSystemDamaged' || before === 'CheckNeeded'
    const told = before === undefined ? undefined : condition('Healthy', isBad ? 'False' : 'True', before)
    const { status, reason, message } = healthOf({ figures, ...found }, told)
    return { verdict: `${status} ${reason}`, message }
  }

  test.each<[string, Partial<Found>, string]>([
    ['left as it should be', {}, 'True Clean'],
    ['left in a crash', { figures: dirty }, 'True JournalPending'],
    ['in use, when the journal is always pending', { figures: dirty, mounted: { readOnly: false } }, 'True Clean'],
    ['with errors', { figures: withErrors }, 'False FileSystemErrors'],
    ['with errors while it is in use', { figures: withErrors, mounted: { readOnly: true } }, 'False FileSystemErrors'],
    ['checked, and sound', { checked: true, repaired: [] }, 'True Clean'],
    ['checked, and mended', { checked: true, repaired: ['Inode 12 ref count is 2'] }, 'True Repaired'],
    ['checked, and beyond mending', { checked: true, figures: withErrors, damaged: 'x' }, 'False FileSystemDamaged'],
    ['a directory of its volume', { ofVolume: true }, 'True Clean'],
    ['which the runtime could not mount', { figures: undefined, unmountable: 'x' }, 'False CheckNeeded'],
  ])('%s', (_what, found, expected) => {
    expect(verdict(found).verdict).toBe(expected)
  })

  test.each<[string, string, Partial<Found>, string]>([
    ['a crash is over once it is mounted', 'JournalPending', { mounted: { readOnly: false } }, 'True Clean'],
    ['what was mended is said on, through use and a clean end', 'Repaired', {}, 'True Repaired'],
    ['until the next check', 'Repaired', { checked: true, repaired: [] }, 'True Clean'],
    [
      'damage is not forgotten either',
      'FileSystemDamaged',
      { mounted: { readOnly: false } },
      'False FileSystemDamaged',
    ],
    ['the end of the pod that could not mount it tells nothing', 'CheckNeeded', {}, 'False CheckNeeded'],
    ['and the check does', 'CheckNeeded', { checked: true, repaired: ['x'] }, 'True Repaired'],
    [
      'what e2fsck said of it weighs more than a mount',
      'FileSystemDamaged',
      { figures: undefined, unmountable: 'x' },
      'False FileSystemDamaged',
    ],
  ])('%s', (_what, before, found, expected) => {
    expect(verdict(found, before).verdict).toBe(expected)
  })

  test('says what to do of errors: nothing while it is not in use', () => {
    expect(verdict({ figures: withErrors }).message).toBe(
      'the kernel noted 3 file-system errors: the next start checks it',
    )
    expect(verdict({ figures: withErrors, mounted: { readOnly: true } }).message).toBe(
      'the kernel noted 3 file-system errors and writes to it no more: stop the instance, and the next start checks it',
    )
  })

  test('says whose usage that of a directory is', () => {
    expect(verdict({ ofVolume: true }).message).toContain('usage is that of the whole volume')
  })

  test('names a few of many repairs', () => {
    const repaired = Array.from({ length: 7 }, (_, index) => `repair ${index}`)
    expect(verdict({ checked: true, repaired }).message).toBe(
      'e2fsck has mended it: repair 0; repair 1; repair 2; repair 3; repair 4; and 2 more',
    )
  })
})

const inUse = { namespace: 'team', name: 'work', uid: 'uid-work', instance: 'dev' }

const createReporter = (overlay: PersistentOverlay | undefined = genOverlay('work')) => {
  const written: unknown[] = []
  const told: string[] = []
  const client: Pick<KubeClient, 'get' | 'apply'> = {
    get: async (resource) => overlay && resource.parse(overlay),
    apply: async (resource, body) => {
      written.push(body)
      return resource.parse(overlay)
    },
  }
  const events = { event: (...[, , reason]: [unknown, unknown, string]) => told.push(reason) }
  const clock = { now: () => new Date('2026-02-01T00:00:00Z') }
  return { report: createOverlayReporter({ client, events, clock }), written, told }
}
const full = (bytes: number) => ({ ...figures, freeBlocks: figures.blocks - bytes })
const status = (bytes: number) => ({
  usage: {
    usedBytes: bytes * 1024,
    capacityBytes: 1000 * 1024,
    usedInodes: 50,
    capacityInodes: 100,
    observedTime: '2026-01-01T00:00:00Z',
  },
  lastCheckTime: '2026-01-01T00:00:00Z',
})

describe('the report', () => {
  test('writes usage, health and the time of a check', async () => {
    const { report, written } = createReporter()
    await report(inUse, () => ({ figures, checked: true }))
    expect(written).toEqual([
      {
        metadata: { namespace: 'team', name: 'work', uid: 'uid-work' },
        status: {
          usage: {
            usedBytes: 512_000,
            capacityBytes: 1_024_000,
            usedInodes: 50,
            capacityInodes: 100,
            observedTime: '2026-02-01T00:00:00Z',
          },
          lastCheckTime: '2026-02-01T00:00:00Z',
          conditions: [
            {
              ...{ type: 'Healthy', status: 'True', reason: 'Clean', message: '' },
              ...{ lastTransitionTime: '2026-02-01T00:00:00Z', observedGeneration: 1 },
            },
          ],
        },
      },
    ])
  })

  test('leaves the usage as it was told last where the figures cannot be read', async () => {
    const { report, written } = createReporter(genOverlay('work', { status: status(500) }))
    await report(inUse, () => ({ unmountable: 'its root is gone' }))
    expect(written).toMatchObject([
      {
        status: {
          usage: { usedBytes: 512_000, observedTime: '2026-01-01T00:00:00Z' },
          conditions: [{ status: 'False' }],
        },
      },
    ])
  })

  test('writes nothing where there is nothing to say, or nobody to say it of', async () => {
    const { report, written } = createReporter()
    expect((await report(inUse, () => undefined))?.metadata.name).toBe('work')
    expect(await report({ ...inUse, uid: 'uid-before' }, () => ({ figures }))).toBeUndefined()
    expect(written).toEqual([])
  })

  test('keeps the order of what is told of one overlay', async () => {
    const { report, written } = createReporter()
    await Promise.all([report(inUse, () => ({ figures })), report(inUse, () => ({ figures: full(600) }))])
    expect(written).toMatchObject([
      { status: { usage: { usedBytes: 512_000 } } },
      { status: { usage: { usedBytes: 614_400 } } },
    ])
  })
})

describe('Events', () => {
  test.each<[string, number, Partial<Found>, string[]]>([
    ['at 85 %', 800, { figures: full(850), used: true }, ['OverlayNearlyFull']],
    ['at 95 %', 850, { figures: full(950), used: true }, ['OverlayFull']],
    ['not again', 860, { figures: full(900), used: true }, []],
    ['not on the way down', 950, { figures: full(800), used: true }, []],
    ['not of one that nobody writes to', 0, { figures: full(1000) }, []],
    ['of errors', 0, { figures: withErrors }, ['OverlayFileSystemErrors']],
    ['of repairs', 0, { checked: true, repaired: ['x'] }, ['OverlayRepaired']],
    ['of a mount that failed', 0, { unmountable: 'x' }, ['OverlayCheckNeeded']],
    ['of damage', 0, { checked: true, damaged: 'x' }, ['OverlayDamaged']],
  ])('%s', async (_what, before, found, expected) => {
    const { report, told } = createReporter(genOverlay('work', { status: status(before) }))
    await report(inUse, () => ({ figures, ...found }))
    expect(told).toEqual(expected)
  })

  test('of the level that was told last, where the caller knows better than the figures', async () => {
    const { report, told } = createReporter(genOverlay('work', { status: status(820) }))
    await report(inUse, () => ({ figures: full(860), used: true, level: 0.85 }))
    expect(told).toEqual([])
  })

  test('of errors once, though there come more', async () => {
    const conditions = [condition('Healthy', 'False', 'FileSystemErrors')]
    const { report, told } = createReporter(genOverlay('work', { status: { conditions } }))
    await report(inUse, () => ({ figures: withErrors }))
    expect(told).toEqual([])
  })
})
