import { readFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { KubeClient } from '../../kube/client.ts'
import type { Cluster, Report } from '../cluster/cluster.ts'
import { clusterFiles } from '../cluster/layout.ts'
import { onNode } from '../e2e/support/node.ts'
import { startFresh } from './convert.ts'

/** `status` of a program's process, as the cluster's own /proc has it. */
export const statusFile = async (cluster: Cluster, program: string): Promise<string> => {
  const pid = (await onNode(cluster, 'pgrep', '--full', '--newest', `^node .*${program}`)).trim()
  const supervisor = (await readFile(clusterFiles(cluster.layout).supervisorPid, 'utf8')).trim()
  return `/proc/${supervisor}/root/proc/${pid}/status`
}

/** Anonymous memory of a process, in MiB (proc_pid_status(5), RssAnon). */
export const anonymousMemory = async (status: string): Promise<number> =>
  Number(/RssAnon:\s+(\d+) kB/.exec(await readFile(status, 'utf8'))?.[1]) / 1024

/** The same of a process and of those that it has started: none of one that has just ended. */
const memoryOfFamily = async (status: string): Promise<number> => {
  const dir = dirname(status)
  const children = await readFile(join(dir, 'task', basename(dir), 'children'), 'utf8')
  const each = children
    .split(' ')
    .filter(Boolean)
    .map((pid) => anonymousMemory(join(dirname(dir), pid, 'status')).catch(() => 0))
  const sizes = await Promise.all([anonymousMemory(status), ...each])
  return sizes.reduce((sum, size) => sum + (Number.isNaN(size) ? 0 : size), 0)
}

export const mib = (value: number): string => `${value.toFixed(1)} MiB`

/** Anonymous memory of agent and controller: idle, and the most of the agent and its fetcher while Debian is converted. */
export const benchMemory = async (
  cluster: Cluster,
  client: KubeClient,
  namespace: string,
  report: Report,
): Promise<void> => {
  const agent = await statusFile(cluster, 'agent.cjs')
  const controller = await statusFile(cluster, 'controller.cjs')
  const idle = await anonymousMemory(agent)

  let most = 0
  let watching = true
  const watch = async (): Promise<void> => {
    while (watching) {
      most = Math.max(most, await memoryOfFamily(agent))
      await sleep(10)
    }
  }
  const watched = watch()
  await startFresh(cluster, client, namespace)
  watching = false
  await watched
  report(
    `anonymous memory: agent idle ${mib(idle)} (aim 35), with its fetcher, converting, ${mib(most)} (aim 60); controller ${mib(await anonymousMemory(controller))} (aim 40)`,
  )
}
