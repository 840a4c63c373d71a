import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import type { Cluster } from '../../cluster/cluster.ts'

/** What the node's kernel shows, seen from outside the product. */

/** Loop devices whose backing file's path holds `part`. */
export const loopsOf = async (part: string): Promise<{ device: string; file: string }[]> => {
  const devices = (await readdir('/sys/block')).filter((name) => name.startsWith('loop'))
  const found = await Promise.all(
    devices.map(async (device) => ({
      device,
      file: await readFile(join('/sys/block', device, 'loop/backing_file'), 'utf8').then(
        (text) => text.trim(),
        () => '',
      ),
    })),
  )
  return found.filter(({ file }) => file.includes(part))
}

/** Runs a command in the cluster's namespaces: there the node's paths are production's. */
export const onNode = async (cluster: Cluster, ...command: string[]): Promise<string> => {
  const [program, ...args] = cluster.inside(...command)
  return (await execa(program, args)).stdout
}

/** Files below a directory of the node, by path; empty when there is no such directory. */
export const filesOnNode = async (cluster: Cluster, directory: string): Promise<string[]> =>
  (await onNode(cluster, 'sh', '-c', `[ ! -d ${directory} ] || find ${directory} -mindepth 1`))
    .split('\n')
    .filter(Boolean)

/** Process ids, in the cluster's namespace, of the idling first process of an instance's container. */
const initPids = async (cluster: Cluster, podUID: string): Promise<string[]> => {
  const pids = (await onNode(cluster, 'pgrep', '--full', '--exact', '/.lamina/init -P')).split('\n')
  const cgroups = await Promise.all(pids.map((pid) => onNode(cluster, 'cat', `/proc/${pid}/cgroup`)))
  return pids.filter((_, index) => cgroups[index]?.includes(podUID))
}

/** Kills it, as a crash would. */
export const killInit = async (cluster: Cluster, podUID: string): Promise<void> => {
  await onNode(cluster, 'kill', '-KILL', ...(await initPids(cluster, podUID)))
}

/** Puts a process of the node into the mounts of an instance's container, where it outlives that; returns how to end it. */
export const lingerInMounts = async (cluster: Cluster, podUID: string): Promise<() => Promise<void>> => {
  const [init = ''] = await initPids(cluster, podUID)
  const script = `nsenter --target ${init} --mount -- sleep 600 </dev/null >/dev/null 2>&1 & echo $!`
  const pid = await onNode(cluster, 'sh', '-c', script)
  return async () => {
    await onNode(cluster, 'kill', '-KILL', pid)
  }
}
