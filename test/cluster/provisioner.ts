/**
 * A dynamic provisioner for the development cluster: each PersistentVolume is an
 * ext4 file system of its claim's size in a file, mounted through a loop device
 * and offered as a `local` volume. Bounded, so "disk full" is real; resizable.
 *
 * usage: provisioner.ts CLUSTER
 */
import { mkdir, readdir, rm, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { execa } from 'execa'
import { z } from 'zod'
import { ensureBinaries } from './builds.ts'
import { clusterFiles, clusterLayout } from './layout.ts'
import { provisionerName } from './storage.ts'

const claimSchema = z.object({
  metadata: z.object({
    name: z.string(),
    namespace: z.string(),
    uid: z.string(),
    annotations: z.record(z.string(), z.string()).default({}),
  }),
  spec: z.object({
    storageClassName: z.string().optional(),
    volumeName: z.string().optional(),
    accessModes: z.array(z.string()),
    resources: z.object({ requests: z.object({ storage: z.string() }) }),
  }),
  status: z.object({ phase: z.string().optional(), capacity: z.object({ storage: z.string() }).optional() }),
})
type Claim = z.infer<typeof claimSchema>

const volumeSchema = z.object({
  metadata: z.object({ name: z.string(), annotations: z.record(z.string(), z.string()).default({}) }),
  spec: z.object({ capacity: z.object({ storage: z.string() }), persistentVolumeReclaimPolicy: z.string() }),
  status: z.object({ phase: z.string().optional() }),
})
type Volume = z.infer<typeof volumeSchema>

const units: Record<string, number> = {
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
}

/** Bytes of a Kubernetes quantity without fraction. */
const bytes = (quantity: string): number => {
  const [, digits, unit = ''] = /^(\d+)([A-Za-z]*)$/.exec(quantity) ?? []
  const factor = units[unit]
  if (digits === undefined || factor === undefined) throw new Error(`cannot read the quantity "${quantity}"`)
  return Number(digits) * factor
}

/** Larger volumes than this are refused, as a full storage backend would. */
const largestVolume = 64 * 2 ** 30

const provisionedBy = 'pv.kubernetes.io/provisioned-by'
const storageProvisioner = 'volume.kubernetes.io/storage-provisioner'
const selectedNode = 'volume.kubernetes.io/selected-node'

const main = async (): Promise<void> => {
  const layout = clusterLayout(process.argv[2] ?? '')
  const files = clusterFiles(layout)
  const kube = join(await ensureBinaries(() => {}), 'kube')
  const kubectl = async (args: string[], input?: string): Promise<string> =>
    (await execa(kube, ['kubectl', '--kubeconfig', files.kubeconfig, ...args], input === undefined ? {} : { input }))
      .stdout
  const fileOf = (volume: string) => join(files.volumes, `${volume}.ext4`)
  const mountOf = (volume: string) => join(files.volumes, volume)

  const mounted = new Set<string>()
  const mountVolume = async (volume: string): Promise<void> => {
    await mkdir(mountOf(volume), { recursive: true })
    await execa('mount', ['-o', 'loop', fileOf(volume), mountOf(volume)])
    mounted.add(volume)
  }

  const provision = async (claim: Claim): Promise<void> => {
    const { name, namespace, uid } = claim.metadata
    const size = claim.spec.resources.requests.storage
    const volume = `pvc-${uid}`
    if (bytes(size) > largestVolume) {
      await reportFailure(claim, `the backend has no ${size}: volumes are at most ${largestVolume / 2 ** 30}Gi`)
      return
    }
    await execa('truncate', ['--size', String(bytes(size)), fileOf(volume)])
    await execa('mkfs.ext4', ['-q', '-F', '-m', '0', fileOf(volume)])
    await mountVolume(volume)
    await kubectl(
      ['apply', '-f', '-'],
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'PersistentVolume',
        metadata: { name: volume, annotations: { [provisionedBy]: provisionerName } },
        spec: {
          capacity: { storage: size },
          accessModes: claim.spec.accessModes,
          storageClassName: claim.spec.storageClassName,
          persistentVolumeReclaimPolicy: 'Delete',
          claimRef: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', name, namespace, uid },
          local: { path: mountOf(volume) },
          nodeAffinity: {
            required: {
              nodeSelectorTerms: [
                { matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [layout.nodeName] }] },
              ],
            },
          },
        },
      }),
    )
  }

  const failed = new Set<string>()
  const reportFailure = async (claim: Claim, message: string): Promise<void> => {
    const { name, namespace, uid } = claim.metadata
    if (failed.has(uid)) return
    failed.add(uid)
    await kubectl(
      ['create', '-f', '-'],
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Event',
        metadata: { generateName: `${name}.`, namespace },
        involvedObject: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', name, namespace, uid },
        type: 'Warning',
        reason: 'ProvisioningFailed',
        message,
        source: { component: provisionerName },
        firstTimestamp: new Date().toISOString(),
        lastTimestamp: new Date().toISOString(),
        count: 1,
      }),
    )
  }

  const grow = async (claim: Claim, volume: string): Promise<void> => {
    const size = claim.spec.resources.requests.storage
    await truncate(fileOf(volume), bytes(size))
    const { stdout: device } = await execa('findmnt', ['--noheadings', '--output', 'SOURCE', mountOf(volume)])
    await execa('losetup', ['--set-capacity', device])
    await execa('resize2fs', [device])
    const capacity = JSON.stringify({ spec: { capacity: { storage: size } } })
    await kubectl(['patch', 'pv', volume, '--type=merge', '-p', capacity])
    const status = JSON.stringify({ status: { capacity: { storage: size } } })
    const { name, namespace } = claim.metadata
    await kubectl(['-n', namespace, 'patch', 'pvc', name, '--subresource=status', '--type=merge', '-p', status])
  }

  const remove = async ({ metadata: { name } }: Volume): Promise<void> => {
    await kubectl(['delete', 'pv', name, '--wait=false'])
    await execa('umount', [mountOf(name)])
    mounted.delete(name)
    await rm(mountOf(name), { recursive: true })
    await rm(fileOf(name))
  }

  const reconcileClaim = async (claim: Claim): Promise<void> => {
    const { annotations, uid } = claim.metadata
    if (annotations[storageProvisioner] !== provisionerName) return
    const { phase, capacity } = claim.status
    const request = claim.spec.resources.requests.storage
    const waitsForConsumer = claim.spec.storageClassName === 'loop' && annotations[selectedNode] === undefined
    if (phase === 'Pending' && !waitsForConsumer && !mounted.has(`pvc-${uid}`)) await provision(claim)
    if (phase === 'Bound' && capacity && claim.spec.volumeName && bytes(request) > bytes(capacity.storage)) {
      await grow(claim, claim.spec.volumeName)
    }
  }

  for (const file of await readdir(files.volumes)) {
    if (file.endsWith('.ext4')) await mountVolume(file.slice(0, -'.ext4'.length))
  }
  const lists = z.object({ items: z.array(z.unknown()) })
  for (;;) {
    try {
      const { items } = lists.parse(JSON.parse(await kubectl(['get', 'pvc', '--all-namespaces', '-o', 'json'])))
      for (const item of items) await reconcileClaim(claimSchema.parse(item))
      const volumes = lists
        .parse(JSON.parse(await kubectl(['get', 'pv', '-o', 'json'])))
        .items.map((item) => volumeSchema.parse(item))
      for (const volume of volumes) {
        if (volume.metadata.annotations[provisionedBy] === provisionerName && volume.status.phase === 'Released')
          await remove(volume)
      }
    } catch (error) {
      process.stderr.write(`${error}\n`)
    }
    await sleep(700)
  }
}

await main()
