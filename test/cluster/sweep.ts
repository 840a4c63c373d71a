import { readdir, readFile, rm, rmdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { execa } from 'execa'
import { cgroupDirectories, observeCgroups } from './cgroup.ts'
import { type ClusterLayout, clusterFiles, nodesOf } from './layout.ts'

const directoriesBelow = async (dir: string): Promise<string[]> => {
  const entries = await readdir(dir, { withFileTypes: true }).catch(() => [])
  const below = await Promise.all(
    entries.filter((entry) => entry.isDirectory()).map((entry) => directoriesBelow(join(dir, entry.name))),
  )
  return [...below.flat(), dir]
}

/** Children first; a group whose last process is still being reaped is tried again for a while. */
const removeCgroup = async (dir: string): Promise<void> => {
  for (const group of await directoriesBelow(dir)) {
    for (let attempt = 0; attempt < 40; attempt++) {
      const busy = await rmdir(group).then(
        () => false,
        (error: NodeJS.ErrnoException) => error.code === 'EBUSY',
      )
      if (!busy) break
      await sleep(50)
    }
  }
}

interface LoopDevice {
  path: string
  file: string
  sectors: string
}

const loopDevices = async (): Promise<LoopDevice[]> => {
  const { stdout } = await execa('losetup', ['--list', '--noheadings', '--raw', '--output', 'NAME,BACK-FILE'])
  const lines = stdout.split('\n').filter(Boolean)
  return Promise.all(
    lines.map(async (line) => {
      const [path = '', file = ''] = line.split(' ')
      return { path, file, sectors: await readFile(join('/sys/block', basename(path), 'size'), 'utf8').catch(() => '') }
    }),
  )
}

/**
 * Loop devices over files of the cluster's that outlived its mounts. The kubelet
 * lays another over a block volume's, whose file the kernel calls `/` once the
 * kubelet's namespace is gone: it is known by its size.
 */
const detachLoops = async (stateDir: string): Promise<void> => {
  const all = await loopDevices()
  const own = all.filter(({ file }) => file.includes(stateDir))
  const sizes = new Set(own.map(({ sectors }) => sectors))
  const above = all.filter(({ file, sectors }) => file === '/' && sizes.has(sectors))
  for (const { path } of [...above, ...own]) await execa('losetup', ['--detach', path], { reject: false })
}

/** First words of `ip -o link show`: `7: veth1@if2: <…`. */
const linkNames = (output: string): string[] => output.split('\n').map((line) => /^\d+: ([^@:]+)/.exec(line)?.[1] ?? '')

/** The host's ends of the pods' veth pairs, by their address; another device may have one in that subnet too, and stays. */
const removeNetworkDevices = async (podSubnet: string): Promise<void> => {
  const prefix = podSubnet.replace(/\.\d+\/\d+$/, '.')
  const { stdout } = await execa('ip', ['-o', '-4', 'address', 'show'])
  const virtual = linkNames((await execa('ip', ['-o', 'link', 'show', 'type', 'veth'])).stdout)
  const devices = stdout
    .split('\n')
    .filter((line) => line.includes(`inet ${prefix}`))
    .map((line) => line.split(/\s+/)[1] ?? '')
    .filter((device) => virtual.includes(device))
  for (const device of devices) await execa('ip', ['link', 'delete', device], { reject: false })
}

/**
 * Removes what outlives a SIGKILL of the cluster's processes: control groups,
 * loop devices, network devices, sockets and pid files. Data stays.
 */
export const sweep = async (layout: ClusterLayout): Promise<void> => {
  const files = clusterFiles(layout)
  const tree = await observeCgroups()
  for (const { cgroup } of nodesOf(layout))
    for (const group of cgroupDirectories(cgroup, tree)) await removeCgroup(group)
  await detachLoops(layout.stateDir)
  await removeNetworkDevices(layout.node.podSubnet)
  for (const file of [files.guardianPid, files.supervisorPid, files.control]) await rm(file, { force: true })
}
