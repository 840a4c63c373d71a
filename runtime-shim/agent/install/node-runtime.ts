import { basename, dirname, join } from 'node:path'
import { type Caller, optionOf, type RuntimeProcess } from './processes.ts'
import { RefusedError } from './refused.ts'

export type RuntimeKind = 'containerd' | 'k3s' | 'rke2' | 'k0s' | 'microk8s' | 'crio'

/** The container runtime that the kubelet asks, and who keeps its configuration. */
export interface NodeRuntime {
  kind: RuntimeKind
  process: RuntimeProcess
  /** The configuration that it reads first. */
  config: string
  /** CRI-O's folder of further files. */
  configDir: string | undefined
  /** How it is made to read them again, where that is safe: by its unit, or by ending it, for its parent to start it anew. */
  restart: { by: 'systemd'; unit: string } | { by: 'signal' }
}

/** What is seen of a node. */
export interface NodeObservation {
  processes: readonly RuntimeProcess[]
  /** Who started the agent; undefined outside of a container. */
  caller: Caller | undefined
  /** Whether systemd runs the node. */
  systemd: boolean
  /** `status.nodeInfo.containerRuntimeVersion`: only its scheme counts, the numbers are each distribution's own. */
  runtimeVersion: string
  /** A file of the host; undefined where there is none. */
  read(path: string): string | undefined
  /** The address in a configuration of containerd; undefined where it says none. */
  addressIn(text: string, path: string): string | undefined
}

const defaults = {
  containerd: { config: '/etc/containerd/config.toml', address: '/run/containerd/containerd.sock' },
  crio: { config: '/etc/crio/crio.conf', configDir: '/etc/crio/crio.conf.d' },
} as const

export const configOf = ({ name, args }: RuntimeProcess): string =>
  optionOf(args, '--config', '-c') ?? defaults[name].config

const kindOf = (process: RuntimeProcess, { read }: NodeObservation): RuntimeKind => {
  if (process.name === 'crio') return 'crio'
  const config = configOf(process)
  // k3s and RKE2 are one program with two names; each makes this file anew at its start.
  if (config.endsWith('/agent/etc/containerd/config.toml'))
    return /rke2/.test(`${process.unit} ${config}`) ? 'rke2' : 'k3s'
  if (basename(dirname(config)) === 'args' && read(join(dirname(config), 'containerd-template.toml')) !== undefined)
    return 'microk8s'
  // Without this line the file is the administrator's, and k0s leaves it alone.
  if (basename(config) === 'containerd.toml' && read(config)?.startsWith('# k0s_managed=true\n')) return 'k0s'
  return 'containerd'
}

/** /var/run is a link to /run everywhere. */
const normalised = (address: string): string => address.replace(/^unix:\/\//, '').replace(/^\/var\/run\//, '/run/')

const addressOf = (process: RuntimeProcess, { read, addressIn }: NodeObservation): string => {
  const given = optionOf(process.args, '--address', '-a')
  if (given !== undefined) return normalised(given)
  const config = configOf(process)
  const text = read(config)
  return normalised((text === undefined ? undefined : addressIn(text, config)) || defaults.containerd.address)
}

const isCallers = (process: RuntimeProcess, caller: Caller, observation: NodeObservation): boolean =>
  process.name === caller.name &&
  (caller.name === 'crio' || addressOf(process, observation) === normalised(caller.address))

const describe = (processes: readonly RuntimeProcess[]): string =>
  processes.map((each) => `${each.program} (pid ${each.pid}) with ${configOf(each)}`).join(', ') || 'none'

/** @throws RefusedError when it is not sure which one is the kubelet's */
const chooseProcess = (observation: NodeObservation): RuntimeProcess => {
  const { processes, caller, runtimeVersion } = observation
  const name = /^cri-o:/.test(runtimeVersion) ? 'crio' : /^containerd:/.test(runtimeVersion) ? 'containerd' : undefined
  const served = processes.filter((each) => name === undefined || each.name === name)
  const ours = caller ? served.filter((each) => isCallers(each, caller, observation)) : served
  const [first] = ours
  if (first && ours.length === 1) return first
  if (first)
    throw new RefusedError(
      `${ours.length} container runtimes run on this node: which is the kubelet's? ${describe(ours)}`,
    )
  throw new RefusedError(
    `no container runtime runs on this node itself, as root and in the host's mount namespace, that serves the kubelet (${runtimeVersion || 'of unknown kind'}); found: ${describe(processes)}`,
  )
}

/** @throws RefusedError */
export const chooseRuntime = (observation: NodeObservation): NodeRuntime => {
  const process = chooseProcess(observation)
  const kind = kindOf(process, observation)
  const { unit } = process
  // k0s starts containerd itself, and anew when it ends; its unit would take the kubelet along.
  const bySystemd = observation.systemd && unit !== undefined && kind !== 'k0s'
  return {
    ...{ kind, process, config: configOf(process) },
    configDir: kind === 'crio' ? (optionOf(process.args, '--config-dir', '-d') ?? defaults.crio.configDir) : undefined,
    restart: bySystemd ? { by: 'systemd', unit } : { by: 'signal' },
  }
}
