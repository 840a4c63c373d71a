import { describe, expect, test } from 'vitest'
import type { Instance } from '../crds/instance.ts'
import type { PersistentOverlay } from '../crds/persistent-overlay.ts'
import { createCache } from '../kube/cache.ts'
import { labels } from '../kube/names.ts'
import { condition, genClaim, genInstance, genOverlay } from '../test/gen/objects.ts'
import { indexes, triggersOf } from './triggers.ts'

const attachment = {
  instanceUID: 'uid-holder',
  instanceName: 'holder',
  access: 'ReadWrite',
  attachTime: '2026-01-01T00:00:00Z',
}
const held = genOverlay('work', { status: { attachments: [attachment] } })
const free = genOverlay('work')

/** Instances that ask for overlay "work", by what their status says. */
const asking = (...conditions: object[]): Instance =>
  genInstance('dev', { spec: { overlays: [{ name: 'work', access: 'ReadWrite' }] }, status: { conditions } })
const content = asking(condition('OverlaysReady', 'True', 'Attached'))
const waiting = asking(condition('OverlaysReady', 'False', 'OverlayInUse'))
const waitingToRestart = asking(
  condition('OverlaysReady', 'True', 'Attached'),
  condition('UpToDate', 'False', 'WaitingForOverlay'),
)

const createTriggers = (instance: Instance, others: readonly Instance[] = []) => {
  const instances = createCache<Instance>(indexes.instances)
  const overlays = createCache<PersistentOverlay>(indexes.overlays)
  for (const each of [instance, ...others]) instances.put(each)
  overlays.put(held)
  const queued: string[] = []
  const queue = (name: string) => ({
    add: (key: string) => queued.push(`${name} ${key}`),
    addUrgent: (key: string) => queued.push(`${name} ${key} urgently`),
    addAfter: (key: string, ms: number) => queued.push(`${name} ${key} after ${ms}`),
  })
  const queues = {
    ...{ images: queue('images'), overlays: queue('overlays') },
    ...{ instances: queue('instances'), pods: queue('pods') },
  }
  return {
    triggers: triggersOf(() => ({ caches: { instances, overlays }, queues, now: new Date('2026-01-01T00:00:05Z') })),
    queued,
  }
}

describe('an overlay that is let go', () => {
  test.each([
    ['calls who waits for it', waiting, true],
    ['calls who runs on because another pod would wait for it', waitingToRestart, true],
    ['is no news to who has what it asks for', content, false],
  ])('%s', (_, instance, isCalled) => {
    const { triggers, queued } = createTriggers(instance)
    triggers.overlay({ type: 'updated', object: free, old: held }, 'watch')
    const { namespace } = instance.metadata
    expect(queued).toEqual([`overlays ${namespace}/work`, ...(isCalled ? [`instances ${namespace}/dev`] : [])])
  })
})

describe("what an instance's own pass has written", () => {
  test('calls for no other', () => {
    const { triggers, queued } = createTriggers(content)
    triggers.instance({ type: 'updated', object: content, old: content }, 'note')
    expect(queued).toEqual([])
  })

  test('calls for one when it comes by from others', () => {
    const { triggers, queued } = createTriggers(content)
    triggers.instance({ type: 'updated', object: content, old: content }, 'watch')
    expect(queued).toEqual([`instances ${content.metadata.namespace}/dev`])
  })
})

describe('an instance that comes', () => {
  test('is urgent: whoever has asked for a pod waits for it', () => {
    const { triggers, queued } = createTriggers(content)
    const isNew = genInstance('new', { status: {} })
    triggers.instance({ type: 'added', object: isNew }, 'watch')
    expect(queued).toEqual(['instances team/new urgently'])
  })

  test('is not when it has been looked at before', () => {
    const { triggers, queued } = createTriggers(content)
    triggers.instance({ type: 'added', object: content }, 'watch')
    expect(queued).toEqual(['instances team/dev'])
  })
})

describe('an instance that comes to run', () => {
  const holder = (status: 'True' | 'False') => {
    const conditions = [condition('Ready', status, status === 'True' ? 'Running' : 'Starting')]
    return genInstance('holder', { status: { conditions, pod: { name: 'holder', uid: 'p', templateHash: 'h' } } })
  }
  const run = (others: readonly Instance[]): string[] => {
    const { triggers, queued } = createTriggers(holder('True'), others)
    triggers.instance({ type: 'updated', object: holder('True'), old: holder('False') }, 'note')
    return queued
  }

  test('has its overlays told of: what could wait for that did', () => {
    expect(run([])).toEqual(['overlays team/work'])
  })

  test('but not while many others start, which have more need of a pass', () => {
    const metadata = { creationTimestamp: '2026-01-01T00:00:00Z' }
    expect(run(Array.from({ length: 11 }, (_, index) => genInstance(`new-${index}`, { metadata })))).toEqual([])
  })
})

describe('an overlay that comes', () => {
  const isNew = genOverlay('work', { status: {} })

  test('has its own pass a moment later: an instance that comes with it sees to it before', () => {
    const { triggers, queued } = createTriggers(content)
    triggers.overlay({ type: 'added', object: isNew }, 'watch')
    expect(queued).toEqual(['overlays team/work after 200', 'instances team/dev'])
  })

  test('has it at once when it has been looked at before', () => {
    const { triggers, queued } = createTriggers(content)
    const known = genOverlay('work', { status: { conditions: [condition('Ready', 'True', 'Bound')] } })
    triggers.overlay({ type: 'added', object: known }, 'watch')
    expect(queued).toContain('overlays team/work')
  })

  test('and is taken, calls for no pass of who took it, and for its own when something may have come of that', () => {
    const { triggers, queued } = createTriggers(content)
    const { uid, name } = content.metadata
    const mine = genOverlay('work', {
      status: { attachments: [{ ...attachment, instanceUID: uid, instanceName: name }] },
    })
    triggers.overlay({ type: 'updated', object: mine, old: isNew }, 'note')
    expect(queued).toEqual(['overlays team/work after 3000'])
  })
})

describe("an instance's first pass", () => {
  test('calls for those of the overlays that it has not taken', () => {
    const { triggers, queued } = createTriggers(content)
    const old = genInstance('dev', { spec: content.spec })
    const blocked = genInstance('dev', {
      spec: content.spec,
      status: { conditions: [condition('Ready', 'False', 'ImageNotFound')] },
    })
    triggers.instance({ type: 'updated', object: blocked, old }, 'note')
    expect(queued).toEqual(['overlays team/work'])
  })
})

describe('a claim on its way to a volume', () => {
  const claim = (given: Parameters<typeof genClaim>[1] = {}) =>
    genClaim('lamina-work', { ...given, metadata: { labels: { [labels.overlay]: 'work' }, ...given.metadata } })

  test('is news when the volume is there', () => {
    const { triggers, queued } = createTriggers(content)
    const bound = claim({ status: { phase: 'Bound' } })
    triggers.claim({ type: 'updated', object: bound, old: claim({ status: { phase: 'Pending' } }) }, 'watch')
    expect(queued).toEqual(['overlays team/work'])
  })

  test('is none when the scheduler notes its node, or we have written', () => {
    const { triggers, queued } = createTriggers(content)
    const selected = claim({ metadata: { annotations: { 'volume.kubernetes.io/selected-node': 'n' } } })
    triggers.claim({ type: 'updated', object: selected, old: claim() }, 'watch')
    triggers.claim({ type: 'added', object: claim() }, 'note')
    expect(queued).toEqual([])
  })
})
