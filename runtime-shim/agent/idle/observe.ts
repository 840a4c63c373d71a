import { closeSync, readFileSync, readlinkSync } from 'node:fs'
import { basename, join } from 'node:path'
import { hasCode } from '../../mount/error-code.ts'
import { descriptorPath } from '../../mount/open.ts'
import type { MountRecord } from '../../node/ticket.ts'
import { hostRootOfInit, openContainer } from '../usage/container.ts'
import { cgroupOf, cpuMsOf, pidsOf } from './cgroup.ts'
import { kernelProcesses, type Session, sessionsOf } from './sessions.ts'

/** What the kernel shows of a container at one moment. */
export interface Observed {
  cpuMs: number
  sessions: Session[]
}

const cgroupRoot = join(hostRootOfInit, 'sys/fs/cgroup')

/** Undefined when it has not started yet, or has ended. */
export const observe = (record: Pick<MountRecord, 'pidFile' | 'containerID'>): Observed | undefined => {
  const fd = openContainer(record)
  if (fd === undefined) return undefined
  try {
    const path = descriptorPath(fd)
    const cgroup = cgroupOf(readFileSync(`${path}/cgroup`, 'utf8'), record.containerID, cgroupRoot)
    if (!cgroup) return undefined
    const init = Number(basename(readlinkSync(path)))
    return { cpuMs: cpuMsOf(cgroup), sessions: sessionsOf(init, pidsOf(cgroup), kernelProcesses) }
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ESRCH', 'ENODEV')) return undefined
    throw error
  } finally {
    closeSync(fd)
  }
}
