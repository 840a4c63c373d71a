import { readdir, readFile } from 'node:fs/promises'
import type { ClusterLayout } from '../../cluster/layout.ts'

/** Clock ticks a second, as Linux tells them to programs (proc_pid_stat(5)). */
const ticks = 100

/** User and kernel time of a process, in seconds. */
export const cpuOf = async (pid: number | string): Promise<number> => {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  const [, , , , , , , , , , , user, kernel] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(user) + Number(kernel)) / ticks
}

const programs = /\/(?:kube\0(?:kube-|etcd)|kwok\0)/

/**
 * The same of all that a start needs but the controller: API server, etcd,
 * scheduler, controller-manager and kwok. On cores that are never idle it is
 * what decides how many starts there are in a second, and neighbours change it little.
 */
export const controlPlaneCpu = async (layout: ClusterLayout): Promise<number> => {
  const times = (await readdir('/proc'))
    .filter((entry) => /^\d+$/.test(entry))
    .map(async (pid) => {
      const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
      const isOurs = programs.test(command) && command.includes(`${layout.stateDir}/`)
      return isOurs ? cpuOf(pid).catch(() => 0) : 0
    })
  return (await Promise.all(times)).reduce((sum, time) => sum + time, 0)
}
