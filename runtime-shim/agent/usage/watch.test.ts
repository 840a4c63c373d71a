import { describe, expect, test } from 'vitest'
import type { PersistentOverlay } from '../../../crds/persistent-overlay.ts'
import { createManualClock } from '../../../kube/testing/manual-clock.ts'
import { silentLog } from '../../../kube/testing/silent-log.ts'
import { condition, genOverlay } from '../../../test/gen/objects.ts'
import type { Found, OverlayReporter } from '../pods/report.ts'
import type { Growth } from './growth.ts'
import type { Probed } from './probe.ts'
import type { RunningOverlay } from './running.ts'
import { createUsageWatch } from './watch.ts'

const overlayOf = (name: string): RunningOverlay => ({
  key: `c/uid-${name}`,
  ...{ namespace: 'team', instance: 'dev', name, uid: `uid-${name}` },
  container: { containerID: 'c', pidFile: '/run/pid' },
  record: {
    ...{ name, uid: `uid-${name}`, access: 'ReadWrite', path: '/volume/overlay.img', dev: '1', ino: '2' },
    ...{ loop: { number: 0, diskseq: '1' }, device: null, ext3Offset: 0 },
  },
})
const work = overlayOf('work')

const at = (percent: number, more: Partial<Probed['figures']> = {}): Probed => ({
  figures: {
    ...{ needsRecovery: false, errorCount: 0, blockSize: 1024 },
    ...{ blocks: 1000, freeBlocks: 1000 - percent * 10, inodes: 1000, freeInodes: 1000 },
    ...more,
  },
  readOnly: false,
  ofVolume: false,
})

const usage = (percent: number, observedTime = '2025-12-31T00:00:00Z') => ({
  ...{ usedBytes: percent * 10_240, capacityBytes: 1_024_000, usedInodes: 0, capacityInodes: 1000 },
  observedTime,
})
const clean = [condition('Healthy', 'True', 'Clean')]

/** A node with one overlay, and the API server's word of it. */
const createNode = (status: object = { usage: usage(10), conditions: clean }) => {
  const clock = createManualClock()
  const node = {
    clock,
    running: [work],
    overlay: genOverlay('work', { status }),
    probed: async (_overlay: RunningOverlay): Promise<Probed | undefined> => at(10),
    isDown: false,
    grows: async (): Promise<Growth> => ({ kind: 'none' }),
    reads: 0,
    blocksRead: 0,
    blocks: undefined as number | undefined,
    written: [] as Found[],
    queued: [] as string[],
    growing: [] as string[],
    askedSize: undefined as string | undefined,
    readBlocks: async (): Promise<number | undefined> => 1000,
    shown: new Map<string, { used: number; dirty: boolean }>(),
    missed: [] as string[],
  }
  const report: OverlayReporter = async (_inUse, decide) => {
    if (node.isDown) throw new Error('no answer')
    node.reads++
    const before: PersistentOverlay = node.overlay
    const found = decide(before)
    if (found) node.written.push(found)
    return before
  }
  const watch = createUsageWatch({
    ...{ clock, report, log: silentLog },
    running: () => node.running,
    askedSize: () => node.askedSize,
    probe: (overlay, blocks) => {
      node.blocks = blocks
      return node.probed(overlay)
    },
    readBlocks: () => {
      node.blocksRead++
      return node.readBlocks()
    },
    enqueue: (key) => node.queued.push(key),
    enqueueGrowth: (key) => node.growing.push(key),
    gauges: {
      show: ({ name }, { figures }, dirty) =>
        node.shown.set(name, { used: figures.blocks - figures.freeBlocks, dirty }),
      miss: ({ name }) => node.missed.push(name),
      forget: ({ name }) => node.shown.delete(name),
    },
    grower: { grow: () => node.grows(), forget: () => {} },
  })
  /** One turn, as the queues make it. */
  const turn = async (): Promise<void> => {
    await watch.look(node.running)
    for (const key of node.queued.splice(0)) await watch.tell(key)
    for (const key of node.growing.splice(0)) await watch.grow(key)
  }
  return Object.assign(node, { watch, turn })
}

describe('what is known already', () => {
  test('is read once, and not written again', async () => {
    const node = createNode()
    await node.turn()
    await node.clock.advance(10_000)
    await node.turn()
    expect([node.reads, node.written]).toEqual([1, []])
    expect(node.shown.get('work')).toEqual({ used: 100, dirty: false })
    expect(node.blocksRead).toBe(1)
  })

  test('is read again every five minutes, for the size that the spec asks for', async () => {
    const node = createNode()
    for (let seconds = 0; seconds < 900; seconds += 10) {
      await node.turn()
      await node.clock.advance(10_000)
    }
    expect(node.reads).toBe(3)
  })
})

test('another size is read at once when the controller says that there is one, and once', async () => {
  const node = createNode()
  await node.turn()
  node.askedSize = '2Gi'
  await node.clock.advance(10_000)
  await node.turn()
  expect(node.reads).toBe(2)
  await node.clock.advance(10_000)
  await node.turn()
  expect(node.reads).toBe(2)
})

describe('what is new', () => {
  test('is written at once when a level is reached, once', async () => {
    const node = createNode({ usage: usage(80), conditions: clean })
    node.probed = async () => at(86)
    await node.turn()
    await node.turn()
    expect(node.written).toMatchObject([{ used: true, level: 0, mounted: { readOnly: false } }])
  })

  test('the level is left five points below: no Event comes twice for one that goes up and down', async () => {
    const node = createNode({ usage: usage(80), conditions: clean })
    for (const percent of [86, 84, 86, 84, 86]) {
      node.probed = async () => at(percent)
      await node.turn()
      await node.clock.advance(700_000)
      node.overlay = genOverlay('work', { status: { usage: usage(percent), conditions: clean } })
    }
    expect(node.written.map(({ level }) => level)).toEqual([0, 0.85, 0.85, 0.85, 0.85])
  })

  test('errors are written at once', async () => {
    const node = createNode()
    await node.turn()
    node.probed = async () => ({ ...at(10, { errorCount: 1 }), readOnly: true })
    await node.turn()
    expect(node.written).toMatchObject([{ figures: { errorCount: 1 }, mounted: { readOnly: true } }])
  })

  test('a journal that was replayed is no longer pending; that it was shows in the metric as long as this mount lasts', async () => {
    const node = createNode({ usage: usage(10), conditions: [condition('Healthy', 'True', 'JournalPending')] })
    await node.turn()
    expect(node.written).toHaveLength(1)
    await node.turn()
    expect(node.shown.get('work')).toEqual({ used: 100, dirty: true })
    expect(node.written).toHaveLength(1)
  })
})

describe('an API server that is away', () => {
  test('is asked again by the queue alone, and is then told what is so by then', async () => {
    const node = createNode({ usage: usage(80), conditions: clean })
    node.probed = async () => at(86)
    node.isDown = true
    await expect(node.turn()).rejects.toThrow('no answer')
    for (let turns = 0; turns < 20; turns++) await node.watch.look(node.running)
    expect(node.queued).toEqual([])
    node.probed = async () => at(96)
    await node.watch.look(node.running)
    node.isDown = false
    await node.watch.tell(work.key)
    expect(node.written).toMatchObject([{ figures: { freeBlocks: 40 }, level: 0 }])
    expect(node.shown.get('work')).toEqual({ used: 960, dirty: false })
  })
})

describe('an overlay that is asked to grow', () => {
  test('has its blocks read anew once it has', async () => {
    const node = createNode()
    node.grows = async () => ({ kind: 'grown' })
    await node.turn()
    node.grows = async () => ({ kind: 'none' })
    await node.turn()
    expect(node.blocksRead).toBe(2)
    await node.turn()
    expect(node.blocksRead).toBe(2)
  })

  test('is looked at and told of meanwhile', async () => {
    const node = createNode()
    node.grows = () => new Promise(() => {})
    await node.watch.look(node.running)
    await node.watch.tell(work.key)
    void node.watch.grow(work.key)
    node.probed = async () => at(96)
    await node.watch.look(node.running)
    expect(node.shown.get('work')?.used).toBe(960)
    await node.watch.tell(work.key)
    expect(node.written).toMatchObject([{ figures: { freeBlocks: 40 } }])
  })

  test.each([
    ['blocks are read', 'readBlocks'],
    ['statfs is under way', 'probed'],
  ] as const)('while its %s: the old size does not stay', async (_when, call) => {
    const node = createNode()
    if (call === 'readBlocks') node.readBlocks = async () => undefined
    await node.turn()
    let answer = (): void => {}
    const asked = new Promise<void>((resolve) => {
      answer = resolve
    })
    if (call === 'readBlocks') node.readBlocks = () => asked.then(() => 1000)
    else node.probed = () => asked.then(() => at(10))
    const look = node.watch.look(node.running)
    node.grows = async () => ({ kind: 'grown' })
    await node.watch.grow(work.key)
    answer()
    await look
    node.readBlocks = async () => 2000
    await node.watch.look(node.running)
    expect(node.blocks).toBe(2000)
  })
})

describe('an overlay that is let go', () => {
  test('leaves the metrics', async () => {
    const node = createNode()
    await node.turn()
    node.running = []
    await node.turn()
    expect(node.shown.size).toBe(0)
  })

  test('leaves them also when its container has ended and nobody has told so', async () => {
    const node = createNode()
    await node.turn()
    node.probed = async () => undefined
    await node.turn()
    expect(node.shown.size).toBe(0)
  })

  test('is not told of after its release, which has the last word', async () => {
    const node = createNode({ usage: usage(80), conditions: clean })
    node.probed = async () => at(86)
    await node.watch.look(node.running)
    node.running = []
    for (const key of node.queued) await node.watch.tell(key)
    expect(node.written).toEqual([])
  })
})

test('what keeps one from growing is told at once, and once', async () => {
  const node = createNode()
  const by = { bytes: 2_048_000, reason: 'RestartRequired', message: 'the kernel does not' } as const
  node.grows = async () => ({ kind: 'blocked', by })
  await node.turn()
  expect(node.written).toEqual([])
  await node.turn()
  expect(node.written).toMatchObject([{ growthBlocked: by }])
  node.grows = async () => ({ kind: 'none' })
  await node.turn()
  expect(node.written).toHaveLength(1)
})

test('one that cannot be seen does not hide the others', async () => {
  const node = createNode()
  const other = overlayOf('other')
  node.running = [work, other]
  node.probed = async ({ name }) => {
    if (name === 'work') throw new Error('EIO')
    return at(10)
  }
  await node.watch.look(node.running)
  await node.watch.look(node.running)
  expect([...node.shown.keys()]).toEqual(['other'])
  expect(node.missed).toEqual(['work'])
})

test('one whose volume hangs is asked once, missed once, and shown again when it answers', async () => {
  const node = createNode()
  const other = overlayOf('other')
  node.running = [work, other]
  let answer = (): void => {}
  const pending = new Promise<Probed>((resolve) => {
    answer = () => resolve(at(20))
  })
  const asked: string[] = []
  node.probed = ({ name }) => {
    asked.push(name)
    return name === 'work' ? pending : Promise.resolve(at(10))
  }
  for (let looks = 0; looks < 3; looks++) {
    const look = node.watch.look(node.running)
    await node.clock.advance(10_000)
    await look
  }
  expect(asked).toEqual(['work', 'other', 'other', 'other'])
  expect([node.missed, [...node.shown.keys()]]).toEqual([['work'], ['other']])
  answer()
  await node.watch.look(node.running)
  expect(node.shown.get('work')?.used).toBe(200)
})

test('kernel calls that never come back hold two threads at most, and nothing else', async () => {
  const node = createNode()
  let asked = 0
  const never = new Promise<undefined>(() => {})
  node.running = ['a', 'b', 'c', 'd'].map(overlayOf)
  node.probed = ({ name }) => {
    asked++
    return name === 'd' ? Promise.resolve(at(10)) : never
  }
  const look = node.watch.look(node.running)
  await node.clock.advance(10_000)
  await look
  await node.watch.look(node.running)
  expect(asked).toBe(2)
  expect(node.missed).toEqual(['a', 'b', 'c', 'd'])
})
