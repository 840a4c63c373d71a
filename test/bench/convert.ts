import { randomBytes } from 'node:crypto'
import type { KubeClient } from '../../kube/client.ts'
import { containerImages, instances } from '../../kube/resources.ts'
import type { Cluster, Report } from '../cluster/cluster.ts'
import { freshImage } from '../e2e/support/images.ts'
import { follow, isReady } from './follow.ts'
import { median, milliseconds } from './statistics.ts'

const rounds = 5

/** Seconds that the agent has spent on conversions, by its own metrics. */
const secondsSpent = async (cluster: Cluster): Promise<number> => {
  const answer = await fetch(`http://127.0.0.1:${cluster.layout.ports.lamina + 1}/metrics`)
  return Number(/^lamina_image_conversion_seconds_sum (\S+)$/m.exec(await answer.text())?.[1] ?? 0)
}

/** An instance on an image that the node has not seen. */
export const startFresh = async (cluster: Cluster, client: KubeClient, namespace: string): Promise<void> => {
  const name = `fresh-${randomBytes(4).toString('hex')}`
  await freshImage(cluster, `bench/${name}`)
  const source = {
    registry: { image: `${cluster.registry.host}/bench/${name}:1`, pullSecrets: [{ name: 'registry' }] },
  }
  await client.create(containerImages, { metadata: { name }, spec: { source } }, namespace)
  await client.create(instances, { metadata: { name }, spec: { imageRef: { name } } }, namespace)
  await follow(client, instances, { namespace, name }, isReady)
}

/** Debian in the cluster's registry → a mountable squashfs in the agent's cache, on disk. */
export const benchConvert = async (
  cluster: Cluster,
  client: KubeClient,
  namespace: string,
  report: Report,
): Promise<void> => {
  const times: number[] = []
  for (let round = 0; round < rounds; round++) {
    const before = await secondsSpent(cluster)
    await startFresh(cluster, client, namespace)
    times.push(((await secondsSpent(cluster)) - before) * 1000)
  }
  report(
    `Debian in the registry → squashfs in the cache, median of ${rounds}: ${milliseconds(median(times))} (aim 1500 for 170 MB)`,
  )
}
