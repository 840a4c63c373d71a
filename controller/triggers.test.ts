import { describe, expect, test } from 'vitest'
import type { Instance } from '../crds/instance.ts'
import type { PersistentOverlay } from '../crds/persistent-overlay.ts'
import { createCache } from '../kube/cache.ts'
import { condition, genInstance, genOverlay } from '../test/gen/objects.ts'
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

const createTriggers = (instance: Instance) => {
  const instances = createCache<Instance>(indexes.instances)
  const overlays = createCache<PersistentOverlay>(indexes.overlays)
  instances.put(instance)
  const queued: string[] = []
  const queue = (name: string) => ({
    add: (key: string) => queued.push(`${name} ${key}`),
    addAfter: (key: string, ms: number) => queued.push(`${name} ${key} after ${ms}`),
  })
  const queues = {
    ...{ images: queue('images'), overlays: queue('overlays') },
    ...{ instances: queue('instances'), pods: queue('pods') },
  }
  return { triggers: triggersOf(() => ({ caches: { instances, overlays }, queues })), queued }
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
