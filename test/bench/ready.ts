import { performance } from 'node:perf_hooks'
import type { KubeClient } from '../../kube/client.ts'
import type { Resource } from '../../kube/resource.ts'
import { containerImages, instances, type Pod, persistentOverlays, pods } from '../../kube/resources.ts'
import type { Report } from '../cluster/cluster.ts'
import { follow, isReady, type Reporting } from './follow.ts'
import { median, milliseconds, ratio } from './statistics.ts'

const rounds = 20
const command = ['sleep', 'infinity']

const plainPod = (image: string) => ({
  metadata: { name: 'plain' },
  spec: {
    terminationGracePeriodSeconds: 0,
    imagePullSecrets: [{ name: 'registry' }],
    containers: [{ name: 'main', image, command }],
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
const timeOne = async <T extends Reporting>(
  client: KubeClient,
  namespace: string,
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

/** Instance apply → Ready against a plain pod with the same command, image cached and overlay known. */
export const benchReady = async (
  client: KubeClient,
  { namespace, image }: { namespace: string; image: string },
  report: Report,
): Promise<void> => {
  const source = { registry: { image, pullSecrets: [{ name: 'registry' }] } }
  await client.create(containerImages, { metadata: { name: 'debian' }, spec: { source } }, namespace)
  await client.create(persistentOverlays, { metadata: { name: 'bench' }, spec: { size: '256Mi' } }, namespace)
  const timePlain = () => timeOne(client, namespace, pods, plainPod(image))
  const timeOurs = () => timeOne(client, namespace, instances, instance)
  await timePlain()
  await timeOurs()
  const plain: number[] = []
  const ours: number[] = []
  for (let round = 0; round < rounds; round++) {
    plain.push(await timePlain())
    ours.push(await timeOurs())
  }
  report(
    `apply → Ready, median of ${rounds}: plain pod ${milliseconds(median(plain))}, instance ${milliseconds(median(ours))}; ratio ${ratio(median(ours), median(plain))} (aim 1.15)`,
  )
}
