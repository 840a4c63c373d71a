import { readdirSync, readFileSync } from 'node:fs'
import { hasCode } from '../mount/error-code.ts'

const cgroupOf = (pid: string): string => {
  try {
    return readFileSync(`/proc/${pid}/cgroup`, 'utf8')
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ESRCH')) return ''
    throw error
  }
}

const kill = (pid: number): void => {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if (!hasCode(error, 'ESRCH')) throw error
  }
}

/**
 * Kills what is left of a container that the kubelet believes to have ended: of
 * one whose shim was killed the container runtime knows nothing any more, and
 * its processes would keep the overlay for ever. They are known by the
 * container's id in the names of their control groups (cgroups(7)).
 *
 * @returns how many there were
 */
export const killOrphans = (containerID: string): number => {
  const pids = readdirSync('/proc').filter((entry) => /^\d+$/.test(entry) && cgroupOf(entry).includes(containerID))
  for (const pid of pids) kill(Number(pid))
  return pids.length
}
