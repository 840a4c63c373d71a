import { expect, test } from 'vitest'
import { csiDrivers, volumes } from '../../kube/resources.ts'
import { genClaim, genNode, genPod } from '../../test/gen/objects.ts'
import { createPodReconciler } from './reconcile.ts'

const pod = genPod('dev', {
  metadata: { deletionTimestamp: '2026-01-01T00:00:00Z' },
  spec: { nodeName: 'n1' },
  claims: ['lamina-work'],
})
const claim = genClaim('lamina-work', { spec: { volumeName: 'pv-work' } })
const volume = volumes.parse({
  metadata: { name: 'pv-work', uid: 'uid-pv-work' },
  spec: { csi: { driver: 'disks.example', volumeHandle: 'h' } },
})
const driver = (attachRequired: boolean) =>
  csiDrivers.parse({ metadata: { name: 'disks.example', uid: 'uid-driver' }, spec: { attachRequired } })

/** What is read and written for the pod, with these objects there beside it. */
const pass = async (objects: Record<string, unknown>) => {
  const reads: string[] = []
  const patches: unknown[] = []
  const told: string[] = []
  const reconcile = createPodReconciler({
    client: {
      get: async (resource, { name }) => {
        reads.push(`${resource.kind} ${name}`)
        const object = objects[resource.kind]
        return object === undefined ? undefined : resource.parse(object)
      },
      mergePatch: async (_resource, _key, patch) => {
        patches.push(patch)
        return undefined
      },
    },
    caches: { pods: { get: () => pod } },
    events: { event: (_about, _type, _reason, message) => told.push(message) },
  })
  return { result: await reconcile('team/dev'), reads, patches, told }
}

const all = { PersistentVolumeClaim: claim, PersistentVolume: volume }

test('a pod whose node is gone is released by what its volume is attached with', async () => {
  const { result, reads, patches, told } = await pass({ ...all, CSIDriver: driver(true) })
  expect(result).toEqual({})
  expect(reads).toEqual([
    'Node n1',
    'PersistentVolumeClaim lamina-work',
    'PersistentVolume pv-work',
    'CSIDriver disks.example',
  ])
  expect(patches).toEqual([{ metadata: { resourceVersion: '1', finalizers: [] } }])
  expect(told).toEqual([expect.stringMatching(/^node n1 is gone.*: nothing is mounted$/)])
})

test('it is kept, and looked at again, where the driver attaches nothing', async () => {
  const { result, patches } = await pass({ ...all, CSIDriver: driver(false) })
  expect(result).toEqual({ requeueAfterMs: 10_000 })
  expect(patches).toEqual([])
})

test('while its node is there no volume is read', async () => {
  expect((await pass({ ...all, Node: genNode('n1') })).reads).toEqual(['Node n1'])
})
