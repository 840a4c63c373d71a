import { readdir, rm, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { execa } from 'execa'
import type { ClusterLayout } from './layout.ts'
import { clusterFiles } from './layout.ts'

const cgroupRoot = '/sys/fs/cgroup'

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

/** Loop devices over files of the cluster's that outlived its mounts. */
const detachLoops = async (stateDir: string): Promise<void> => {
  const { stdout } = await execa('losetup', ['--list', '--noheadings', '--raw', '--output', 'NAME,BACK-FILE'])
  const devices = stdout
    .split('\n')
    .filter((line) => line.includes(stateDir))
    .map((line) => line.split(' ')[0] ?? '')
  for (const device of devices) await execa('losetup', ['--detach', device], { reject: false })
}

/** Network devices whose route leads into the pods' subnet. */
const removeNetworkDevices = async (podSubnet: string): Promise<void> => {
  const prefix = podSubnet.replace(/\.\d+\/\d+$/, '.')
  const { stdout } = await execa('ip', ['-o', '-4', 'address', 'show'])
  const devices = stdout
    .split('\n')
    .filter((line) => line.includes(`inet ${prefix}`))
    .map((line) => line.split(/\s+/)[1] ?? '')
  for (const device of devices) await execa('ip', ['link', 'delete', device], { reject: false })
}

/**
 * Removes what outlives a SIGKILL of the cluster's processes: control groups,
 * loop devices, network devices, sockets and pid files. Data stays.
 */
export const sweep = async (layout: ClusterLayout): Promise<void> => {
  const files = clusterFiles(layout)
  for (const controller of await readdir(cgroupRoot)) await removeCgroup(join(cgroupRoot, controller, layout.cgroup))
  await removeCgroup(join(cgroupRoot, layout.cgroup))
  await detachLoops(layout.stateDir)
  await removeNetworkDevices(layout.podSubnet)
  for (const file of [files.guardianPid, files.supervisorPid, files.control]) await rm(file, { force: true })
}
