import { posix } from 'node:path'
import type { MountPoint } from '../../../runtime-shim/mount/parts.ts'
import type { BindArgument, UsualMount } from '../arguments.ts'

/** What of the host a container gets to see, by Singularity's conventions. */

export interface Containment {
  /** `--contain`: nothing of the host's that is not asked for. */
  contain: boolean
  /** `--no-home`, `--no-mount`. */
  without: readonly UsualMount[]
  binds: readonly BindArgument[]
  /** The first process of a process namespace of its own; its /proc is not ours to mount. */
  init: { source: string; destination: string } | undefined
}

export interface Surroundings {
  home: string
  cwd: string
  /** Whether a path of the host leads to a directory; undefined where it leads nowhere. */
  isDirectory(path: string): boolean | undefined
}

export type PlannedMount =
  | { kind: 'bind'; source: string; destination: string; readOnly: boolean; asked: boolean; isDirectory: boolean }
  /** Memory, devices of its own, or nothing yet. */
  | { kind: 'memory' | 'devices' | 'place'; destination: string }

/** The host's, and the container's own system: not laid over by chance. */
const systemDirectories = new Set(['/', '/etc', '/bin', '/mnt', '/usr', '/var', '/opt', '/sbin', '/lib', '/lib64'])
const isSystem = (path: string): boolean => systemDirectories.has(path) || /^\/(dev|proc|sys)(\/|$)/.test(path)

const usual = (path: string, isDirectory = true) => ({
  kind: 'bind' as const,
  source: path,
  destination: path,
  readOnly: false,
  asked: false,
  isDirectory,
})

const ownDirectory = (destination: string): PlannedMount => ({ kind: 'memory', destination })

const covers = (mount: PlannedMount, path: string): boolean =>
  mount.kind === 'bind' &&
  mount.source === mount.destination &&
  (path === mount.destination || path.startsWith(`${mount.destination}/`))

const temporary = ['/tmp', '/var/tmp']
const ofNetwork = ['/etc/hosts', '/etc/resolv.conf']

const usualMounts = ({ contain, without, init }: Containment, { home, cwd, isDirectory }: Surroundings) => {
  const wants = (mount: UsualMount): boolean => !without.includes(mount)
  const isHere = (path: string): boolean => isDirectory(path) !== undefined
  const mounts: PlannedMount[] = []
  if (wants('dev')) mounts.push(contain ? { kind: 'devices', destination: '/dev' } : usual('/dev'))
  if (init)
    mounts.push({ kind: 'place', destination: '/proc' }, { ...usual(init.source, false), ...init, readOnly: true })
  else if (wants('proc')) mounts.push(usual('/proc'))
  if (wants('sys')) mounts.push(usual('/sys'))
  if (wants('tmp')) mounts.push(...temporary.filter(isHere).map((path) => (contain ? ownDirectory(path) : usual(path))))
  if (wants('home') && isHere(home) && !isSystem(home)) mounts.push(contain ? ownDirectory(home) : usual(home))
  const isCovered = mounts.some((mount) => covers(mount, cwd))
  if (wants('cwd') && !contain && isHere(cwd) && !isSystem(cwd) && !isCovered) mounts.push(usual(cwd))
  if (wants('etc')) mounts.push(...ofNetwork.filter(isHere).map((path) => usual(path, false)))
  return mounts
}

const asked = ({ source, destination, readOnly }: BindArgument, isDirectory: boolean): PlannedMount => ({
  kind: 'bind',
  source,
  destination: posix.normalize(destination),
  readOnly,
  asked: true,
  isDirectory,
})

/** In the order in which they are to be made. Sources that are asked for must be there. */
export const planMounts = (containment: Containment, surroundings: Surroundings): PlannedMount[] => [
  ...usualMounts(containment, surroundings),
  ...containment.binds.map((bind) => asked(bind, surroundings.isDirectory(bind.source) === true)),
]

/** What the lowest layer must have, for the mounts to have a place. */
export const mountPoints = (mounts: readonly PlannedMount[]): MountPoint[] =>
  mounts.map((mount) => ({
    path: mount.destination,
    kind: mount.kind === 'bind' && !mount.isDirectory ? 'file' : 'directory',
  }))
