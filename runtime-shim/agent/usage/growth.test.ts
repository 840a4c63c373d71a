import { describe, expect, test } from 'vitest'
import { silentLog } from '../../../kube/testing/silent-log.ts'
import { genOverlay } from '../../../test/gen/objects.ts'
import type { GrowthOutcome, MountedGrowth } from '../overlay/grow-mounted.ts'
import { Trouble } from '../trouble.ts'
import { createOverlayGrower, wantedBytes } from './growth.ts'
import type { Probed } from './probe.ts'
import type { RunningOverlay } from './running.ts'

const running: RunningOverlay = {
  key: 'c/uid-work',
  ...{ namespace: 'team', instance: 'dev', name: 'work', uid: 'uid-work' },
  container: { containerID: 'c', pidFile: '/run/pid' },
  record: {
    ...{ name: 'work', uid: 'uid-work', access: 'ReadWrite', path: '/volume/overlay.img', dev: '1', ino: '2' },
    ...{ loop: { number: 0, diskseq: '1' }, device: null, ext3Offset: 0 },
  },
}
const mebibytes = (count: number): Probed => ({
  figures: {
    ...{ needsRecovery: false, errorCount: 0, blockSize: 4096, inodes: 1, freeInodes: 1 },
    ...{ blocks: count * 256, freeBlocks: 0 },
  },
  readOnly: false,
  ofVolume: false,
})
const asking = (size: string, spec: object = {}) => genOverlay('work', { spec: { size, ...spec } })

describe('an overlay is to grow', () => {
  test.each([
    ['when its spec asks for more than it has', asking('64Mi'), 64 * 2 ** 20],
    ['not when it has that', asking('32Mi'), undefined],
    ['not to be smaller', asking('16Mi'), undefined],
    ['not for less than a block', asking(String(32 * 2 ** 20 + 4095)), undefined],
    ['not of format Directory, which has no size', asking('64Mi', { format: 'Directory' }), undefined],
    ['not on a claim of its own', asking('64Mi', { storage: { existingClaimName: 'data' } }), undefined],
  ])('%s', (_what, overlay, bytes) => {
    expect(wantedBytes(overlay, running, mebibytes(32))).toBe(bytes)
  })
})

const createGrower = (answer: () => Promise<GrowthOutcome>) => {
  const asked: MountedGrowth[] = []
  const events: string[] = []
  const grower = createOverlayGrower(
    {
      ...{ lockDir: '/run/lamina/locks', worker: '/app/overlay-worker.cjs', log: silentLog },
      onePerOverlay: (_uid, act) => act(),
      events: { event: (_about, type, reason) => events.push(`${type} ${reason}`) },
    },
    (growth) => {
      asked.push(growth)
      return answer()
    },
  )
  return {
    asked,
    events,
    grow: (size = '64Mi', spec?: object) => grower.grow(running, mebibytes(32), asking(size, spec)),
  }
}

describe('the growth', () => {
  test('of a mounted file system is told', async () => {
    const { grow, asked, events } = createGrower(async () => ({ kind: 'grown', bytes: 64 * 2 ** 20 }))
    expect(await grow('64Mi', { ext3: { allocation: 'Sparse' } })).toEqual({ kind: 'grown' })
    expect(asked).toMatchObject([{ size: 64 * 2 ** 20, sparse: true, record: running.record }])
    expect(events).toEqual(['Normal OverlayGrown'])
  })

  test('that must wait for the next start is not asked for again, unless for another size', async () => {
    const { grow, asked, events } = createGrower(async () => ({ kind: 'later', why: 'the kernel does not' }))
    const blocked = (size: number) => ({
      kind: 'blocked',
      by: {
        ...{ bytes: size * 2 ** 20, reason: 'RestartRequired' },
        message: 'the file system grows at the next start: the kernel does not',
      },
    })
    expect(await grow('64Mi')).toEqual(blocked(64))
    expect(await grow('64Mi')).toEqual({ kind: 'none' })
    expect(await grow('128Mi')).toEqual(blocked(128))
    expect(asked.map(({ size }) => size / 2 ** 20)).toEqual([64, 128])
    expect(events).toEqual([])
  })

  test('that no start can do either is told as that', async () => {
    const { grow } = createGrower(async () => ({ kind: 'never', why: 'make a larger one' }))
    expect(await grow()).toMatchObject({ by: { reason: 'OverlayTooSmall', message: 'make a larger one' } })
  })

  test('for which the volume has no room is tried again, and told the second time: the volume grows a moment later', async () => {
    const { grow, asked, events } = createGrower(() => Promise.reject(new Trouble('OverlayNoSpace', 'needs more')))
    expect(await grow()).toEqual({ kind: 'none' })
    expect(events).toEqual([])
    expect(await grow()).toEqual({ kind: 'none' })
    expect(events).toEqual(['Warning OverlayNoSpace'])
    expect(asked).toHaveLength(2)
  })

  test('that fails in another way is for the queue to repeat', async () => {
    const { grow } = createGrower(() => Promise.reject(new Error('EIO')))
    await expect(grow()).rejects.toThrow('EIO')
  })
})
