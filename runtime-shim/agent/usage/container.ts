import { closeSync, constants, openSync, readFileSync } from 'node:fs'
import { hasCode } from '../../mount/error-code.ts'
import { descriptorPath } from '../../mount/open.ts'
import { O_PATH, openat2, resolve } from '../../mount/syscalls.ts'
import type { MountRecord } from '../../node/ticket.ts'

/** A process that has ended, or was never there. */
const isGone = (error: unknown): boolean => hasCode(error, 'ENOENT', 'ESRCH')

/** Absolute links on the host's paths (`/var/run`) lead to the host's files. */
const readOfHost = (hostRoot: string, path: string): string => {
  const root = openSync(hostRoot, O_PATH | constants.O_DIRECTORY)
  try {
    const fd = openat2(root, path, constants.O_RDONLY, resolve.inRoot)
    try {
      return readFileSync(fd, 'utf8')
    } finally {
      closeSync(fd)
    }
  } finally {
    closeSync(root)
  }
}

/** A container has a cgroup of its name: `<id>`, `cri-containerd-<id>.scope`, `crio-<id>`. */
export const isCgroupOf = (segment: string, containerID: string): boolean => {
  const name = segment.replace(/\.scope$/, '')
  return name === containerID || name.endsWith(`-${containerID}`)
}

const isInCgroupOf = (cgroups: string, containerID: string): boolean =>
  cgroups.split(/[/\n]/).some((segment) => isCgroupOf(segment, containerID))

/** Opens `/proc/<pid>`: unlike the number, the descriptor never comes to mean another process. */
const openProcess = (pid: string, containerID: string): number | undefined => {
  const fd = openSync(`/proc/${pid}`, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    if (isInCgroupOf(readFileSync(`${descriptorPath(fd)}/cgroup`, 'utf8'), containerID)) return fd
  } catch (error) {
    if (!isGone(error)) throw error
  }
  closeSync(fd)
  return undefined
}

/** The host's root directory, seen from a pod with the host's process ids. */
export const hostRootOfInit = '/proc/1/root'

/**
 * Opens the `/proc` directory of the container's first process, the pid of which
 * the runtime left in a file of the host; undefined when it has not started yet,
 * has ended, or another process has its number.
 */
export const openContainer = (
  { pidFile, containerID }: Pick<MountRecord, 'pidFile' | 'containerID'>,
  hostRoot = hostRootOfInit,
): number | undefined => {
  if (pidFile === '') return undefined
  try {
    const pid = readOfHost(hostRoot, pidFile).trim()
    return /^\d+$/.test(pid) ? openProcess(pid, containerID) : undefined
  } catch (error) {
    if (isGone(error)) return undefined
    throw error
  }
}
