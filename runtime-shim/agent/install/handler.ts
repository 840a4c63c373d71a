import { existsSync, rmSync } from 'node:fs'
import type { KubeClient } from '../../../kube/client.ts'
import { pause, systemClock } from '../../../kube/clock.ts'
import type { EventRecorder } from '../../../kube/events.ts'
import type { Logger } from '../../../kube/log.ts'
import { type Node, nodes } from '../../../kube/resources.ts'
import { installedPaths, type NodeLayout } from '../../node/layout.ts'
import { type Configured, type ConfigureOptions, configure, ordinaryRuntime } from './configure.ts'
import { installFiles, runtimeFiles } from './files.ts'
import { type Host, observeRuntime } from './host.ts'
import { type Listing, labelNode, listingOf } from './label.ts'
import type { NodeRuntime } from './node-runtime.ts'
import { RefusedError } from './refused.ts'
import { requireKernel, selfTest } from './requirements.ts'
import { restartWith } from './restart.ts'
import { UnsupervisedError } from './supervision.ts'
import { backupDir, takenOffFile } from './uninstall.ts'

export interface HandlerOptions {
  host: Host
  layout: NodeLayout
  /** Folder of the bundles, in the operator's image. */
  appDir: string
  /** The OCI runtime to become after the mounts, by name or path; '' for the one that the node's ordinary pods have. */
  underlying: string
  client: Pick<KubeClient, 'get' | 'mergePatch'>
  events: EventRecorder
  nodeName: string
  log: Logger
  signal: AbortSignal
}

const readNode = ({ client, nodeName }: HandlerOptions): Promise<Node | undefined> =>
  client.get(nodes, { namespace: '', name: nodeName })

/** The kubelet asks the runtime for its handlers every few seconds. */
const listing = { everyMs: 250, longestMs: 60_000 } as const

const awaitListed = async (options: HandlerOptions): Promise<Listing> => {
  for (let waited = 0; ; waited += listing.everyMs) {
    const now = listingOf(await readNode(options))
    if (now !== 'missing' || waited > listing.longestMs || options.signal.aborted) return now
    await pause(systemClock, listing.everyMs, options.signal)
  }
}

const observe = async (options: HandlerOptions): Promise<NodeRuntime> =>
  observeRuntime(options.host, (await readNode(options))?.status?.nodeInfo?.containerRuntimeVersion ?? '')

/** Whether the runtime was started after its configuration was last written. */
const hasRead = ({ files }: Host, { process }: NodeRuntime, path: string): boolean =>
  process.startTime >= (files.changeTime(path) ?? 0)

/** What one agent remembers over its attempts, so that it does not restart the container runtime again and again. */
interface Memory {
  /** The underlying runtime with which all files were laid down. */
  installedFor?: string
  /** The process that was seen to know the handler: whatever is written later, it need not be restarted. */
  knownBy?: number
  /** The one that was started by us. */
  restarted?: number
  /** Why a restart was of no use: the next one would be of none. */
  failure?: RefusedError
}

/** They are compared byte by byte, which is not for every few minutes. */
const layDown = async ({ layout, appDir, log }: HandlerOptions, memory: Memory, underlying: string): Promise<void> => {
  const files = runtimeFiles(layout, { appDir, underlying })
  if (memory.installedFor === underlying && files.every(({ to }) => existsSync(to))) return
  const replaced = await installFiles(files)
  if (replaced.length > 0) log.info({ files: replaced }, 'installed the runtime')
  memory.installedFor = underlying
}

/** @returns the runtime as it is afterwards */
const restart = async (
  options: HandlerOptions,
  memory: Memory,
  at: ConfigureOptions,
  configured: Configured,
): Promise<NodeRuntime> => {
  const { kind, process } = at.runtime
  options.log.info({ file: configured.path, runtime: kind, pid: process.pid }, 'restarting the container runtime')
  try {
    await restartWith(at, configured, options)
  } catch (error) {
    if (error instanceof RefusedError && !(error instanceof UnsupervisedError))
      memory.failure = new RefusedError(`${error.message}; a new agent tries again`, { cause: error })
    throw error
  }
  const runtime = await observe(options)
  memory.restarted = runtime.process.pid
  return runtime
}

const installOnce = async (options: HandlerOptions, memory: Memory): Promise<void> => {
  if (memory.failure) throw memory.failure
  const { host, layout, log, signal } = options
  await requireKernel(host)
  let runtime = await observe(options)
  const { launcher } = installedPaths(layout)
  const at = { host, runtime, launcher, backupDir: backupDir(layout) }
  const ordinary = await ordinaryRuntime(at)
  const underlying = options.underlying || ordinary.program
  await layDown(options, memory, underlying)
  const version = await selfTest(host, layout, { underlying, path: ordinary.path })

  const configured = await configure(at)
  const { path } = configured
  const isKnown = memory.knownBy === runtime.process.pid
  if (!isKnown && (configured.changed || !hasRead(host, runtime, path)) && !signal.aborted)
    runtime = await restart(options, memory, at, configured)
  let listed = await awaitListed(options)
  // Clocks may be wrong, and an earlier agent may have been killed before it came to that.
  if (listed === 'missing' && memory.restarted !== runtime.process.pid && !signal.aborted) {
    runtime = await restart(options, memory, { ...at, runtime }, configured)
    listed = await awaitListed(options)
  }
  if (signal.aborted) return
  if (listed === 'missing')
    throw new RefusedError(
      `the kubelet does not list the handler, although ${path} has it and the runtime was restarted`,
    )
  if (!isKnown) log.info({ runtime: runtime.kind, file: path, underlying, version }, 'the handler is installed')
  memory.knownBy = runtime.process.pid
}

const retry = { firstMs: 1_000, longestMs: 30_000 } as const

/** A refused node waits for its administrator; and who keeps the configuration of an installed one may write it anew. */
const lookAgainMs = 300_000

/** Told on the Node: what its administrator must change. */
const refuse = async ({ client, events, nodeName, log }: HandlerOptions, { message }: RefusedError): Promise<void> => {
  try {
    const node = await client.get(nodes, { namespace: '', name: nodeName })
    const about = { apiVersion: 'v1', kind: 'Node' }
    if (node) events.event({ ...about, metadata: node.metadata }, 'Warning', 'HandlerRefused', message)
    await labelNode(client, nodeName, false)
  } catch (error) {
    log.warn({ err: error }, 'the refusal is not told on the Node')
  }
}

const takenOff =
  '"agent.cjs uninstall" takes the handler off this node, and can be run again where it did not end; a new agent installs it again'

/** @returns why the handler is not there; undefined when it is */
const tryOnce = async (options: HandlerOptions, memory: Memory): Promise<unknown> => {
  const { client, layout, nodeName, log, signal } = options
  try {
    if (existsSync(takenOffFile(layout))) throw new RefusedError(takenOff)
    await installOnce(options, memory)
    // It may have been taken off while the kubelet was waited for.
    if (existsSync(takenOffFile(layout))) throw new RefusedError(takenOff)
    if (!signal.aborted && (await labelNode(client, nodeName, true))) log.info('the node is ready for instances')
    return undefined
  } catch (error) {
    log.error({ err: error }, 'the runtime handler is not installed: trying again')
    return error
  }
}

/**
 * Installs the runtime and its handler, says so on the Node, and sees to it that
 * it stays so until the signal is aborted. What is there already is not touched,
 * and the container runtime not restarted for it.
 *
 * @param onState told after each look why it is not installed; undefined when it is
 */
export const keepHandler = async (
  options: HandlerOptions,
  onState: (trouble: string | undefined) => void,
): Promise<void> => {
  const { layout, signal } = options
  rmSync(takenOffFile(layout), { force: true })
  const memory: Memory = {}
  let waitMs: number = retry.firstMs
  while (!signal.aborted) {
    const trouble = await tryOnce(options, memory)
    onState(trouble === undefined || trouble instanceof Error ? trouble?.message : String(trouble))
    if (trouble === undefined) {
      waitMs = retry.firstMs
      await pause(systemClock, lookAgainMs, signal)
      continue
    }
    const isRefused = trouble instanceof RefusedError
    // The first one may only have met the container runtime in somebody else's restart.
    if (isRefused && waitMs > retry.firstMs) await refuse(options, trouble)
    await pause(systemClock, isRefused && waitMs === retry.longestMs ? lookAgainMs : waitMs, signal)
    waitMs = Math.min(waitMs * 2, retry.longestMs)
  }
}
