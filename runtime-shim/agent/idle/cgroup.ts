import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isCgroupOf } from '../usage/container.ts'

/** A container's control group, as the host has it mounted (cgroups(7)). */
export interface Cgroup {
  dir: string
  version: 1 | 2
}

interface Line {
  controllers: string[]
  path: string
}

const linesOf = (cgroups: string): Line[] =>
  cgroups
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      const [, controllers = '', ...path] = line.split(':')
      return { controllers: controllers.split(','), path: path.join(':') }
    })

/** A process may have put itself below: the container's own is the one with its name. */
const upTo = (path: string, containerID: string): string | undefined => {
  const segments = path.split('/')
  const index = segments.findIndex((segment) => isCgroupOf(segment, containerID))
  return index < 0 ? undefined : segments.slice(0, index + 1).join('/')
}

/**
 * Where CPU time is counted: version 1 has a hierarchy of its own for that, also
 * beside a version 2 that has no controllers.
 *
 * @param cgroups the content of `/proc/<pid>/cgroup` of any of its processes
 * @param root where the host's hierarchies are mounted
 */
export const cgroupOf = (cgroups: string, containerID: string, root: string): Cgroup | undefined => {
  const lines = linesOf(cgroups)
  const accounting = lines.find(({ controllers }) => controllers.includes('cpuacct'))
  const path = upTo((accounting ?? lines.find(({ controllers }) => controllers[0] === ''))?.path ?? '', containerID)
  if (path === undefined) return undefined
  return accounting ? { dir: join(root, 'cpuacct', path), version: 1 } : { dir: join(root, path), version: 2 }
}

/** CPU time that the container has used, in ms. @throws with code ENOENT when it has ended */
export const cpuMsOf = ({ dir, version }: Cgroup): number => {
  if (version === 1) return Number(readFileSync(join(dir, 'cpuacct.usage'), 'utf8')) / 1e6
  const usage = /^usage_usec (\d+)$/m.exec(readFileSync(join(dir, 'cpu.stat'), 'utf8'))
  return Number(usage?.[1]) / 1e3
}

/** Processes in it and in groups below it. @throws with code ENOENT when it has ended */
export const pidsOf = ({ dir }: Pick<Cgroup, 'dir'>): number[] => {
  const below = readdirSync(dir, { withFileTypes: true }).filter((entry) => entry.isDirectory())
  const own = readFileSync(join(dir, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean).map(Number)
  return [...own, ...below.flatMap(({ name }) => pidsOf({ dir: join(dir, name) }))]
}
