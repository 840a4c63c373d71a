import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { basename } from 'node:path'
import { hasCode } from '../../mount/error-code.ts'

/** A container runtime that serves the host, seen from the agent, which shares the host's pid namespace. */
export interface RuntimeProcess {
  pid: number
  /** Path of the program on the host. */
  program: string
  name: 'containerd' | 'crio'
  /** Words after the program's name. */
  args: readonly string[]
  /** Unit of systemd that it runs under; undefined where something else runs it. */
  unit: string | undefined
  /** Its PATH, by which it finds runc. */
  path: string
  /** Milliseconds since 1970. */
  startTime: number
}

/** The container runtime by which the agent itself was started: a sure sign of which one is the kubelet's. */
export type Caller = { name: 'containerd'; address: string } | { name: 'crio' }

/** What the kernel says of a process; undefined when it has ended, is the kernel's own, or not ours to look at. */
const ifReadable = <T>(act: () => T): T | undefined => {
  try {
    return act()
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ESRCH', 'EACCES')) return undefined
    throw error
  }
}

/** `--name value`, `--name=value` or `-n value`; the first one. */
export const optionOf = (args: readonly string[], ...names: readonly string[]): string | undefined => {
  for (const [index, arg] of args.entries()) {
    if (names.includes(arg)) return args[index + 1]
    const name = names.find((each) => arg.startsWith(`${each}=`))
    if (name !== undefined) return arg.slice(name.length + 1)
  }
  return undefined
}

/** From the lines of /proc/PID/cgroup: `…/system.slice/containerd.service`; the innermost one. */
export const unitOf = (cgroup: string): string | undefined =>
  [...cgroup.matchAll(/\/([^/\n]+\.service)(?=[/\n]|$)/g)].at(-1)?.[1]

const wordsOf = (nulSeparated: string): string[] => nulSeparated.split('\0').filter((word) => word !== '')

/** `containerd config dump`, `containerd publish` and the like are clients, not servers. */
export const isServer = (args: readonly string[]): boolean =>
  !args.some(
    (word, index) =>
      !word.startsWith('-') && (args[index - 1]?.startsWith('-') !== true || args[index - 1]?.includes('=')),
  )

const namespacesOf = (pid: number): string =>
  ['mnt', 'user'].map((kind) => readlinkSync(`/proc/${pid}/ns/${kind}`)).join(' ')

const isRoots = (status: string): boolean => /^Uid:\t0\t0\t/m.test(status)

/** The kernel counts in hundredths of a second since the boot, for every architecture that Node runs on. */
const ticksPerSecond = 100

const startTimeOf = (pid: number): number => {
  // More exact than btime of /proc/stat, which is in whole seconds.
  const boot = Date.now() / 1000 - Number.parseFloat(readFileSync('/proc/uptime', 'utf8'))
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // Field 22; the name in parentheses may have blanks.
  const ticks = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19])
  return (boot + ticks / ticksPerSecond) * 1000
}

const programOf = (pid: number): string => readlinkSync(`/proc/${pid}/exe`).replace(/ \(deleted\)$/, '')

/** Its program is run in its namespaces, with all rights: only root's own on the host may count, no pod's and no user's. */
const runtimeOf = (pid: number, hostNamespaces: string): RuntimeProcess | undefined =>
  ifReadable(() => {
    const program = programOf(pid)
    const name = basename(program)
    if (name !== 'containerd' && name !== 'crio') return undefined
    if (namespacesOf(pid) !== hostNamespaces || !isRoots(readFileSync(`/proc/${pid}/status`, 'utf8'))) return undefined
    const [, ...args] = wordsOf(readFileSync(`/proc/${pid}/cmdline`, 'utf8'))
    if (!isServer(args)) return undefined
    const environment = wordsOf(readFileSync(`/proc/${pid}/environ`, 'utf8'))
    const path = environment.find((entry) => entry.startsWith('PATH='))?.slice('PATH='.length)
    return {
      ...{ pid, program, name, args, startTime: startTimeOf(pid) },
      unit: unitOf(readFileSync(`/proc/${pid}/cgroup`, 'utf8')),
      path: path || '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    }
  })

/** @param hostPid a process of the host: the agent, which sees the host's processes, knows the first as one */
export const runtimeProcesses = (hostPid = 1): RuntimeProcess[] => {
  const hostNamespaces = namespacesOf(hostPid)
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((entry) => runtimeOf(Number(entry), hostNamespaces) ?? [])
}

/** A process above another. */
export interface Ancestor {
  pid: number
  /** Its program's name, cut off by the kernel after 15 bytes. */
  name: string
}

const parentOf = (pid: number): number | undefined =>
  ifReadable(() => Number(/^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]))

/** The nearest first; the last is the first process of those that can be seen. */
export const ancestorsOf = (pid: number): Ancestor[] => {
  const parent = parentOf(pid) ?? 0
  const name = parent > 0 ? ifReadable(() => readFileSync(`/proc/${parent}/comm`, 'utf8').trim()) : undefined
  return name === undefined ? [] : [{ pid: parent, name }, ...ancestorsOf(parent)]
}

/** From the command line of a parent: a shim of containerd knows the address of its containerd, conmon is CRI-O's. */
export const callerFrom = (commandLine: string): Caller | undefined => {
  const [program = '', ...args] = wordsOf(commandLine)
  if (/^conmon(rs)?$/.test(basename(program))) return { name: 'crio' }
  const address = basename(program).startsWith('containerd-shim-') ? optionOf(args, '-address', '--address') : undefined
  return address === undefined ? undefined : { name: 'containerd', address }
}

/** The nearest such parent of a process; undefined where no container runtime started it. */
export const callerOf = (pid: number): Caller | undefined => {
  const look = (): Caller | number | undefined => {
    const caller = callerFrom(readFileSync(`/proc/${pid}/cmdline`, 'utf8'))
    return caller ?? Number(/^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
  }
  const found = pid > 0 ? ifReadable(look) : undefined
  return typeof found === 'number' ? callerOf(found) : found
}

/** Whether systemd runs the host. */
export const hasSystemd = (): boolean => readFileSync('/proc/1/comm', 'utf8').trim() === 'systemd'
