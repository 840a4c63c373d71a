import { readdir, readFile, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import { type ClusterLayout, nodesOf } from '../../cluster/layout.ts'

const isZombie = async (pid: string): Promise<boolean> =>
  /\) Z /.test(await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ''))

/** Processes of the cluster's pid namespace and of its control group. A zombie waits for the machine's init alone. */
const processes = async (layout: ClusterLayout, pidNamespace: string): Promise<string[]> => {
  const ours = nodesOf(layout).map(({ cgroup }) => `/${cgroup}`)
  const pids = (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry))
  const found = await Promise.all(
    pids.map(async (pid) => {
      const namespace = await readlink(`/proc/${pid}/ns/pid`).catch(() => '')
      const groups = await readFile(`/proc/${pid}/cgroup`, 'utf8').catch(() => '')
      if (namespace !== pidNamespace && !ours.some((group) => groups.includes(group))) return []
      if (await isZombie(pid)) return []
      return [`process ${pid} ${await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')}`.trim()]
    }),
  )
  return found.flat()
}

const cgroups = async (layout: ClusterLayout): Promise<string[]> => {
  const root = '/sys/fs/cgroup'
  const ours = nodesOf(layout).map(({ cgroup }) => cgroup)
  const found = await Promise.all(
    (await readdir(root)).map(async (hierarchy) => {
      const entries = await readdir(join(root, hierarchy))
      return entries.filter((entry) => ours.includes(entry)).map((entry) => `cgroup ${hierarchy}/${entry}`)
    }),
  )
  return found.flat()
}

const linesWith = (text: string, part: string, what: string): string[] =>
  text
    .split('\n')
    .filter((line) => line.includes(part))
    .map((line) => `${what} ${line}`)

/**
 * All that the machine still has of a cluster: empty after `down`.
 *
 * @param pidNamespace the link `/proc/PID/ns/pid` of its supervisor, read while it was up
 */
export const leftoversOf = async (layout: ClusterLayout, pidNamespace: string): Promise<string[]> => {
  const podAddresses = layout.node.podSubnet.replace(/\.0\/\d+$/, '.')
  const [mounts, loops, addresses, routes] = await Promise.all([
    readFile('/proc/self/mounts', 'utf8'),
    execa('losetup', ['--list', '--noheadings', '--output', 'NAME,BACK-FILE']),
    execa('ip', ['-o', 'address']),
    execa('ip', ['route']),
  ])
  return [
    ...(await processes(layout, pidNamespace)),
    ...linesWith(mounts, layout.stateDir, 'mount'),
    ...linesWith(loops.stdout, layout.stateDir, 'loop device'),
    ...(await cgroups(layout)),
    ...linesWith(addresses.stdout, podAddresses, 'address'),
    ...linesWith(routes.stdout, podAddresses, 'route'),
  ]
}
