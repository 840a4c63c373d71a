import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { KubeClient } from '../../kube/client.ts'
import { containerImages, instances } from '../../kube/resources.ts'
import type { Cluster, Report } from '../cluster/cluster.ts'
import { freshImage } from '../e2e/support/images.ts'
import { onNode } from '../e2e/support/node.ts'
import { follow, isReady } from './follow.ts'

/** Anonymous memory of a process, in MiB (proc_pid_status(5), RssAnon). */
const anonymousMemory = async (pid: number): Promise<number> => {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/RssAnon:\s+(\d+) kB/.exec(status)?.[1] ?? 0) / 1024
}

/** The host's number of the process in the cluster's namespaces. */
const pidOf = async (cluster: Cluster, program: string): Promise<number> => {
  const inside = (await onNode(cluster, 'pgrep', '--full', '--newest', `^node .*${program}`)).trim()
  const supervisor = (await readFile(`${cluster.layout.stateDir}/supervisor.pid`, 'utf8')).trim()
  const namespaces = await readFile(`/proc/${supervisor}/root/proc/${inside}/status`, 'utf8').catch(() => '')
  return Number(/NSpid:\s+(\d+)/.exec(namespaces)?.[1] ?? inside)
}

const mib = (value: number): string => `${value.toFixed(1)} MiB`

/** Anonymous memory of agent and controller: idle, and the agent's most while it converts Debian. */
export const benchMemory = async (
  cluster: Cluster,
  client: KubeClient,
  namespace: string,
  report: Report,
): Promise<void> => {
  const agent = await pidOf(cluster, 'agent.cjs')
  const controller = await pidOf(cluster, 'controller.cjs')
  const idle = await anonymousMemory(agent)

  const repository = `bench/fresh-${randomBytes(4).toString('hex')}`
  await freshImage(cluster, repository)
  const source = {
    registry: { image: `${cluster.registry.host}/${repository}:1`, pullSecrets: [{ name: 'registry' }] },
  }
  await client.create(containerImages, { metadata: { name: 'fresh' }, spec: { source } }, namespace)
  await client.create(instances, { metadata: { name: 'fresh' }, spec: { imageRef: { name: 'fresh' } } }, namespace)
  let most = 0
  let watching = true
  const watch = async (): Promise<void> => {
    while (watching) {
      most = Math.max(most, await anonymousMemory(agent))
      await sleep(10)
    }
  }
  const watched = watch()
  await follow(client, instances, { namespace, name: 'fresh' }, isReady)
  watching = false
  await watched
  report(
    `anonymous memory: agent idle ${mib(idle)} (aim 35), converting ${mib(most)} (aim 60); controller ${mib(await anonymousMemory(controller))} (aim 40)`,
  )
}
