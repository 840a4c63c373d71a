import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { basename } from 'node:path'
import { hasCode } from '../../mount/error-code.ts'
import { ContainerdConfigError, configPath } from './containerd.ts'

/** The node's containerd, seen from the agent, which shares the host's pid namespace. */
export interface RunningContainerd {
  pid: number
  /** Path of the program on the host. */
  program: string
  config: string
  /** Unit of systemd that runs it; undefined where something else does. */
  unit: string | undefined
}

/** What the kernel says of a process; undefined when it has ended, is the kernel's own, or not ours to look at. */
const ifReadable = <T>(act: () => T): T | undefined => {
  try {
    return act()
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ESRCH', 'EACCES')) return undefined
    throw error
  }
}

const optionOf = (args: readonly string[], names: readonly string[]): string | undefined => {
  for (const [index, arg] of args.entries()) {
    if (names.includes(arg)) return args[index + 1]
    const name = names.find((each) => arg.startsWith(`${each}=`))
    if (name !== undefined) return arg.slice(name.length + 1)
  }
  return undefined
}

/** From the lines of /proc/PID/cgroup: `…/system.slice/containerd.service`. */
export const unitOf = (cgroup: string): string | undefined => /\/([^/\n]+\.service)$/m.exec(cgroup)?.[1]

/** From /proc/PID/cmdline; `config`, `publish` and the like are clients. */
export const configOf = (commandLine: string): string | undefined => {
  const [, ...args] = commandLine.split('\0').filter((word) => word !== '')
  const config = optionOf(args, ['--config', '-c']) ?? configPath
  const words = args.filter((word, index) => !word.startsWith('-') && !args[index - 1]?.startsWith('-'))
  return words.length === 0 ? config : undefined
}

const namespacesOf = (pid: number): string =>
  ['mnt', 'user'].map((kind) => readlinkSync(`/proc/${pid}/ns/${kind}`)).join(' ')

const isRoots = (pid: number): boolean => /^Uid:\t0\t0\t/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))

/** Its program is run in its namespaces, with all rights: only root's own on the host may count, no pod's and no user's. */
const containerdOf = (pid: number, hostNamespaces: string): RunningContainerd | undefined =>
  ifReadable(() => {
    const program = readlinkSync(`/proc/${pid}/exe`).replace(/ \(deleted\)$/, '')
    if (basename(program) !== 'containerd' || namespacesOf(pid) !== hostNamespaces || !isRoots(pid)) return undefined
    const config = configOf(readFileSync(`/proc/${pid}/cmdline`, 'utf8'))
    const unit = unitOf(readFileSync(`/proc/${pid}/cgroup`, 'utf8'))
    return config === undefined ? undefined : { pid, program, config, unit }
  })

/** @param hostPid a process of the host: the agent, which sees the host's processes, knows the first as one */
export const runningContainerds = (hostPid = 1): RunningContainerd[] => {
  const hostNamespaces = namespacesOf(hostPid)
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((entry) => containerdOf(Number(entry), hostNamespaces) ?? [])
}

/**
 * The containerd that reads /etc/containerd/config.toml; others, of k3s for
 * example, have a configuration of their own.
 *
 * @throws ContainerdConfigError when there is none, or more than one
 */
export const findContainerd = (): RunningContainerd => {
  const all = runningContainerds()
  const ours = all.filter(({ config }) => config === configPath)
  const [first] = ours
  if (first && ours.length === 1) return first
  if (first)
    throw new ContainerdConfigError(
      `${ours.length} processes on this node run with ${configPath}: which is the kubelet's?`,
    )
  const others = all.map(({ config }) => config).join(', ')
  throw new ContainerdConfigError(
    `no containerd runs on this node with ${configPath}${others ? ` (but with ${others})` : ''}: the handler is installed there only`,
  )
}

/** Whether systemd runs the host. */
export const hasSystemd = (): boolean => readFileSync('/proc/1/comm', 'utf8').trim() === 'systemd'
