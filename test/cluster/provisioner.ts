/**
 * A dynamic provisioner for the development cluster: makes, grows and removes
 * the volumes of its StorageClasses and offers each as a `local`
 * PersistentVolume.
 *
 * usage: provisioner.ts CLUSTER
 */
import { readdir } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  CoreV1Api,
  KubeConfig,
  type KubernetesObject,
  type ListPromise,
  makeInformer,
  PatchStrategy,
  setHeaderOptions,
  type V1PersistentVolume,
  type V1PersistentVolumeClaim,
} from '@kubernetes/client-node'
import { parseQuantity } from '../../kube/quantity.ts'
import { clusterFiles, clusterLayout, nodesOf } from './layout.ts'
import { bindsAtOnce, provisionerName } from './storage.ts'
import { openVolume, type VolumeMode, volumeOfFile } from './volume.ts'

/** Larger volumes than this are refused, as a full storage backend would. */
const largestGiB = 64

const provisionedBy = 'pv.kubernetes.io/provisioned-by'
const storageProvisioner = 'volume.kubernetes.io/storage-provisioner'
const selectedNode = 'volume.kubernetes.io/selected-node'

const layout = clusterLayout(process.argv[2] ?? '')
const files = clusterFiles(layout)
/** Both nodes are on one machine. */
const nodeNames = nodesOf(layout).map(({ name }) => name)
const config = new KubeConfig()
config.loadFromFile(files.kubeconfig)
const core = config.makeApiClient(CoreV1Api)
const mergePatch = setHeaderOptions('Content-Type', PatchStrategy.MergePatch)

/** What of a claim decides; undefined while the API server has not completed it. */
interface Claim {
  name: string
  namespace: string
  uid: string
  storageClassName: string
  accessModes: string[]
  volumeMode: VolumeMode
  size: string
  capacity: string | undefined
  phase: string
  volumeName: string | undefined
  selectedNode: string | undefined
}

const claimOf = ({ metadata = {}, spec = {}, status = {} }: V1PersistentVolumeClaim): Claim | undefined => {
  const { name, namespace, uid, annotations = {} } = metadata
  const { storageClassName, accessModes = [], volumeName } = spec
  const size = spec.resources?.requests?.storage
  if (annotations[storageProvisioner] !== provisionerName) return undefined
  if (!name || !namespace || !uid || !storageClassName || !size) return undefined
  const capacity = status.capacity?.storage
  const phase = status.phase ?? 'Pending'
  const volumeMode = spec.volumeMode === 'Block' ? 'Block' : 'Filesystem'
  return {
    ...{ name, namespace, uid, storageClassName, accessModes, volumeMode, size, capacity, phase, volumeName },
    selectedNode: annotations[selectedNode],
  }
}

const persistentVolume = (name: string, path: string, claim: Claim): V1PersistentVolume => ({
  apiVersion: 'v1',
  kind: 'PersistentVolume',
  metadata: { name, annotations: { [provisionedBy]: provisionerName } },
  spec: {
    capacity: { storage: claim.size },
    accessModes: claim.accessModes,
    volumeMode: claim.volumeMode,
    storageClassName: claim.storageClassName,
    persistentVolumeReclaimPolicy: 'Delete',
    claimRef: {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      ...{ name: claim.name, namespace: claim.namespace, uid: claim.uid },
    },
    local: { path },
    nodeAffinity: {
      required: {
        nodeSelectorTerms: [
          { matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: nodeNames }] },
        ],
      },
    },
  },
})

const refuse = async ({ name, namespace, uid }: Claim, message: string): Promise<void> => {
  const now = new Date()
  await core.createNamespacedEvent({
    namespace,
    body: {
      metadata: { generateName: `${name}.`, namespace },
      involvedObject: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', name, namespace, uid },
      type: 'Warning',
      reason: 'ProvisioningFailed',
      message,
      source: { component: provisionerName },
      firstTimestamp: now,
      lastTimestamp: now,
      count: 1,
    },
  })
}

/** Volumes that exist here, and claims that never will: the watch may lag behind what was done. */
const provisioned = new Set<string>()
const refused = new Set<string>()

const provision = async (claim: Claim): Promise<void> => {
  const name = `pvc-${claim.uid}`
  if (provisioned.has(name) || refused.has(name)) return
  const bytes = parseQuantity(claim.size)
  if (bytes > largestGiB * 2 ** 30) {
    refused.add(name)
    return refuse(claim, `the backend has no ${claim.size}: volumes are at most ${largestGiB}Gi`)
  }
  const volume = openVolume(files.volumes, name, claim.volumeMode)
  await volume.create(bytes)
  await core.createPersistentVolume({ body: persistentVolume(name, volume.path, claim) })
  provisioned.add(name)
}

const grow = async (claim: Claim, volumeName: string): Promise<void> => {
  await openVolume(files.volumes, volumeName, claim.volumeMode).grow(parseQuantity(claim.size))
  const capacity = { capacity: { storage: claim.size } }
  await core.patchPersistentVolume({ name: volumeName, body: { spec: capacity } }, mergePatch)
  await core.patchNamespacedPersistentVolumeClaimStatus(
    { name: claim.name, namespace: claim.namespace, body: { status: capacity } },
    mergePatch,
  )
}

const reconcileClaim = async (claim: Claim): Promise<void> => {
  const mayBind = bindsAtOnce(claim.storageClassName) || claim.selectedNode !== undefined
  if (claim.phase === 'Pending' && mayBind) return provision(claim)
  const { capacity, volumeName, size } = claim
  if (capacity && volumeName && parseQuantity(size) > parseQuantity(capacity)) return grow(claim, volumeName)
}

const reconcileVolume = async ({ metadata, spec, status }: V1PersistentVolume): Promise<void> => {
  const name = metadata?.name ?? ''
  if (metadata?.annotations?.[provisionedBy] !== provisionerName || status?.phase !== 'Released') return
  if (!provisioned.has(name)) return
  await openVolume(files.volumes, name, spec?.volumeMode === 'Block' ? 'Block' : 'Filesystem').remove()
  await core.deletePersistentVolume({ name })
  provisioned.delete(name)
}

const log = (error: unknown): void => {
  process.stderr.write(`${new Date().toISOString()} ${error instanceof Error ? error.stack : JSON.stringify(error)}\n`)
}

/** Calls back whenever something may have changed; a watch that ends is started again. */
const watch = <T extends KubernetesObject>(path: string, list: ListPromise<T>, changed: () => void) => {
  const informer = makeInformer(config, path, list)
  const start = () => informer.start().catch(restart)
  const restart = async (): Promise<void> => {
    await sleep(300)
    await start()
  }
  for (const verb of ['add', 'update', 'delete'] as const) informer.on(verb, changed)
  informer.on('error', restart)
  start()
  return informer
}

const main = async (): Promise<void> => {
  for (const file of await readdir(files.volumes)) {
    const found = volumeOfFile(files.volumes, file)
    if (!found) continue
    await found.volume.mount()
    provisioned.add(found.name)
  }

  let wake = (): void => {}
  let changed = new Promise<void>((resolve) => {
    wake = resolve
  })
  const claims = watch(
    '/api/v1/persistentvolumeclaims',
    () => core.listPersistentVolumeClaimForAllNamespaces(),
    () => wake(),
  )
  const volumes = watch(
    '/api/v1/persistentvolumes',
    () => core.listPersistentVolume(),
    () => wake(),
  )
  const attempt = (work: Promise<void>) => work.catch(log)
  for (;;) {
    await Promise.race([changed, sleep(5_000)])
    changed = new Promise<void>((resolve) => {
      wake = resolve
    })
    for (const claim of claims.list().map(claimOf)) if (claim) await attempt(reconcileClaim(claim))
    for (const volume of volumes.list()) await attempt(reconcileVolume(volume))
  }
}

await main()
