import { performance } from 'node:perf_hooks'
import { KubeConfig } from '@kubernetes/client-node'
import { createClient, type KubeClient } from '../../kube/client.ts'
import type { KubeObject, ObjectKey, Resource } from '../../kube/resource.ts'
import { containerImages, instances, type Pod, persistentOverlays, pods } from '../../kube/resources.ts'
import type { Cluster, Report } from '../cluster/cluster.ts'
import { median, milliseconds, ratio } from './statistics.ts'

const rounds = 20
const namespace = 'bench'
const image = (cluster: Cluster) => `${cluster.registry.host}/library/debian:12`
const command = ['sleep', 'infinity']

/** Follows one object until `done` says yes of it; a deletion is told as undefined. */
const follow = async <T extends KubeObject>(
  client: KubeClient,
  resource: Resource<T>,
  key: ObjectKey,
  done: (object: T | undefined) => boolean,
): Promise<number> => {
  const selection = { namespace: key.namespace, fieldSelector: `metadata.name=${key.name}` }
  const page = await client.listPage(resource, selection)
  const [present] = page.items
  if (done(present === undefined ? undefined : resource.parse(present))) return performance.now()
  const watch = client.watch(
    resource,
    { ...selection, resourceVersion: page.resourceVersion, timeoutSeconds: 120 },
    AbortSignal.timeout(120_000),
  )
  for await (const { type, object } of watch) {
    if (type !== 'BOOKMARK' && done(type === 'DELETED' ? undefined : resource.parse(object))) return performance.now()
  }
  throw new Error(`${resource.kind} ${key.name}: waited in vain`)
}

const isReady = (
  object: { status?: { conditions?: { type: string; status: string }[] | undefined } | undefined } | undefined,
) => object?.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false

const plainPod = (cluster: Cluster) => ({
  metadata: { name: 'plain' },
  spec: {
    terminationGracePeriodSeconds: 0,
    imagePullSecrets: [{ name: 'registry' }],
    containers: [{ name: 'main', image: image(cluster), command }],
  },
})

const instance = {
  metadata: { name: 'ours' },
  spec: {
    imageRef: { name: 'debian' },
    overlays: [{ name: 'bench' }],
    command,
    podTemplate: { spec: { terminationGracePeriodSeconds: 0 } },
  },
}

/** From the request that creates it until its Ready condition is seen; then it is removed again. */
const timeOne = async <T extends KubeObject & Parameters<typeof isReady>[0]>(
  client: KubeClient,
  resource: Resource<T>,
  body: { metadata: { name: string } },
): Promise<number> => {
  const key = { namespace, name: body.metadata.name }
  const started = performance.now()
  await client.create(resource, body, namespace)
  const ready = await follow(client, resource, key, isReady)
  await client.delete(resource, key)
  await follow<Pod>(client, pods, key, (pod) => pod === undefined)
  return ready - started
}

const prepare = async (cluster: Cluster, client: KubeClient, kubectl: (...args: string[]) => Promise<unknown>) => {
  await kubectl('delete', 'namespace', namespace, '--ignore-not-found')
  await kubectl('create', 'namespace', namespace)
  const { host, user, password } = cluster.registry
  await kubectl(
    ...['-n', namespace, 'create', 'secret', 'docker-registry', 'registry'],
    ...[`--docker-server=${host}`, `--docker-username=${user}`, `--docker-password=${password}`],
  )
  const source = { registry: { image: image(cluster), pullSecrets: [{ name: 'registry' }] } }
  await client.create(containerImages, { metadata: { name: 'debian' }, spec: { source } }, namespace)
  await client.create(persistentOverlays, { metadata: { name: 'bench' }, spec: { size: '256Mi' } }, namespace)
}

/** Instance apply → Ready against a plain pod with the same command, image cached and overlay known. */
export const benchReady = async (
  cluster: Cluster,
  kubectl: (...args: string[]) => Promise<unknown>,
  report: Report,
): Promise<void> => {
  const config = new KubeConfig()
  config.loadFromFile(cluster.kubeconfig)
  const client = createClient(config, { userAgent: 'lamina-bench' })
  await prepare(cluster, client, kubectl)
  report('warming up: image, overlay')
  await timeOne(client, pods, plainPod(cluster))
  await timeOne(client, instances, instance)
  const plain: number[] = []
  const ours: number[] = []
  for (let round = 1; round <= rounds; round++) {
    plain.push(await timeOne(client, pods, plainPod(cluster)))
    ours.push(await timeOne(client, instances, instance))
    if (round % 5 === 0) report(`${round} of ${rounds}`)
  }
  await kubectl('delete', 'namespace', namespace)
  report(
    `apply → Ready, median of ${rounds}: plain pod ${milliseconds(median(plain))}, instance ${milliseconds(median(ours))}: ratio ${ratio(median(ours), median(plain))} (aim 1.15)`,
  )
}
