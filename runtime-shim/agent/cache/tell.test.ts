import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { silentLog } from '../../../kube/testing/silent-log.ts'
import { digestOf, genInstance, genNode } from '../../../test/gen/objects.ts'
import type { NodeLayout } from '../../node/layout.ts'
import type { Corruption } from './observer.ts'
import { tellCorrupt } from './tell.ts'
import { giveTicket, makeLayout, removeLayout } from './testing/plant.ts'

let layout: NodeLayout
beforeEach(() => {
  layout = makeLayout()
})
afterEach(() => removeLayout(layout))

const corruption = (inUse: boolean): Corruption => ({
  digest: digestOf('a'),
  reference: `registry.example/debian@${digestOf('a')}`,
  what: 'its file is missing',
  inUse,
})

const told = async (inUse: boolean, count: number) => {
  const events: { kind: string; name: string; reason: string; message: string }[] = []
  giveTicket(layout, 'uid-1', digestOf('a'))
  giveTicket(layout, 'uid-2', digestOf('b'))
  tellCorrupt(
    {
      ...{ layout, log: silentLog, nodeName: 'one' },
      client: {
        get: async (resource) => resource.parse(resource.kind === 'Node' ? genNode('one') : genInstance('dev')),
      },
      events: {
        event: ({ kind, metadata: { name } }, _, reason, message) => events.push({ kind, name, reason, message }),
      },
    },
    corruption(inUse),
  )
  await vi.waitFor(() => expect(events).toHaveLength(count), 5_000)
  return events
}

test('a corrupt image is told on the Node, whose disk it may be', async () => {
  expect(await told(false, 1)).toEqual([
    {
      kind: 'Node',
      name: 'one',
      reason: 'ImageCorrupt',
      message: `image registry.example/debian@${digestOf('a')} in the cache of node one is damaged: its file is missing; it is fetched anew for the next start`,
    },
  ])
})

test('one that is mounted is told to those who run on it as well, with what to do', async () => {
  const [, instance] = await told(true, 2)
  expect(instance).toMatchObject({ kind: 'Instance', name: 'dev', reason: 'ImageCorrupt' })
  expect(instance?.message).toMatch(/restart the instance, what it reads may be wrong$/)
})
