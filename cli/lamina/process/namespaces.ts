import { closeSync, constants, openSync } from 'node:fs'
import { enterMounts, enterProcesses } from './syscalls.ts'

const open = (pid: number | 'self', kind: 'mnt' | 'pid'): number =>
  openSync(`/proc/${pid}/ns/${kind}`, constants.O_RDONLY)

export interface Namespaces {
  mounts: number
  processes: number
}

/** Of a process: descriptors, which mean them for good. */
export const openNamespaces = (pid: number): Namespaces => ({ mounts: open(pid, 'mnt'), processes: open(pid, 'pid') })

/** Enters the one, and has children enter the other; the descriptors are then closed. */
export const enterNamespaces = ({ mounts, processes }: Namespaces): void => {
  enterMounts(mounts)
  enterProcesses(processes)
  for (const fd of [mounts, processes]) closeSync(fd)
}

/** Runs `act` in the mount namespace of a process, and comes back. */
export const inMountsOf = (pid: number, act: () => void): void => {
  const directory = process.cwd()
  const [own, other] = [open('self', 'mnt'), open(pid, 'mnt')]
  try {
    enterMounts(other)
    act()
  } finally {
    enterMounts(own)
    process.chdir(directory)
    for (const fd of [own, other]) closeSync(fd)
  }
}
