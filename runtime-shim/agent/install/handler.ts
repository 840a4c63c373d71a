import { existsSync, readFileSync } from 'node:fs'
import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { KubeClient } from '../../../kube/client.ts'
import { pause, systemClock } from '../../../kube/clock.ts'
import type { Logger } from '../../../kube/log.ts'
import { type Node, nodes } from '../../../kube/resources.ts'
import { installedPaths, type NodeLayout } from '../../node/layout.ts'
import { assertContainerd2, assertHandler, dropIn, dropInPath, handlerName, usesSystemdCgroup } from './containerd.ts'
import { installFiles, runtimeFiles } from './files.ts'
import { dumpConfig, restartContainerd } from './host.ts'
import { findContainerd, type RunningContainerd } from './processes.ts'

export interface HandlerOptions {
  layout: NodeLayout
  /** Folder of the bundles, in the operator's image. */
  appDir: string
  client: KubeClient
  nodeName: string
  log: Logger
  signal: AbortSignal
}

const readIfThere = (path: string): string | undefined => (existsSync(path) ? readFileSync(path, 'utf8') : undefined)

/** Beside and renamed: containerd never reads half of it. */
const replaceFile = async (path: string, text: string): Promise<void> => {
  await mkdir(dirname(path), { recursive: true })
  await writeFile(`${path}.new`, text)
  await rename(`${path}.new`, path)
}

const putBack = (path: string, text: string | undefined): Promise<void> =>
  text === undefined ? rm(path, { force: true }) : replaceFile(path, text)

/**
 * Writes the drop-in unless it is there as it must be. One with which containerd
 * would not start, or that it would not read, is taken back at once.
 *
 * @returns whether containerd must be restarted for it
 * @throws ContainerdConfigError
 */
const writeDropIn = async (containerd: RunningContainerd, launcher: string): Promise<boolean> => {
  const before = readIfThere(dropInPath)
  const systemdCgroup = usesSystemdCgroup(await dumpConfig(containerd))
  const wanted = dropIn(launcher, { systemdCgroup })
  if (before === wanted) return false
  await replaceFile(dropInPath, wanted)
  try {
    assertHandler(await dumpConfig(containerd), launcher)
  } catch (error) {
    await putBack(dropInPath, before)
    throw error
  }
  return true
}

const readNode = ({ client, nodeName }: HandlerOptions): Promise<Node | undefined> =>
  client.get(nodes, { namespace: '', name: nodeName })

const isListed = (node: Node | undefined): boolean =>
  node?.status?.runtimeHandlers?.some(({ name }) => name === handlerName) ?? false

/** The kubelet asks containerd for its handlers every few seconds. */
const listing = { everyMs: 250, afterRestartMs: 60_000, withoutMs: 20_000 } as const

const awaitListed = async (options: HandlerOptions, longestMs: number): Promise<boolean> => {
  for (let waited = 0; !options.signal.aborted; waited += listing.everyMs) {
    if (isListed(await readNode(options))) return true
    if (waited > longestMs) return false
    await pause(systemClock, listing.everyMs, options.signal)
  }
  return false
}

const installOnce = async (options: HandlerOptions): Promise<void> => {
  const { layout, appDir, log, signal } = options
  assertContainerd2((await readNode(options))?.status?.nodeInfo?.containerRuntimeVersion ?? '')
  const replaced = await installFiles(runtimeFiles(layout, { appDir }))
  if (replaced.length > 0) log.info({ files: replaced }, 'installed the runtime')

  const containerd = findContainerd()
  const isNew = await writeDropIn(containerd, installedPaths(layout).launcher)
  // Also where an earlier agent was killed between the two.
  if (isNew || !(await awaitListed(options, listing.withoutMs))) {
    if (signal.aborted) return
    log.info({ file: dropInPath, pid: containerd.pid }, 'restarting containerd, which does not know the handler yet')
    await restartContainerd(containerd)
    if (!(await awaitListed(options, listing.afterRestartMs)) && !signal.aborted)
      throw new Error(`the kubelet does not list the handler "${handlerName}" after a restart of containerd`)
  }
}

const retry = { firstMs: 1_000, longestMs: 30_000 } as const

/**
 * Installs the runtime and its handler, and returns when the kubelet lists it.
 * What is there already is not touched, and containerd not restarted for it.
 * Tries until the signal is aborted.
 *
 * @param onTrouble told why it is not installed yet
 */
export const installHandler = async (options: HandlerOptions, onTrouble: (why: string) => void): Promise<void> => {
  const { log, signal } = options
  for (let waitMs: number = retry.firstMs; !signal.aborted; waitMs = Math.min(waitMs * 2, retry.longestMs)) {
    try {
      return await installOnce(options)
    } catch (error) {
      log.error({ err: error }, 'the runtime handler is not installed: trying again')
      onTrouble(error instanceof Error ? error.message : String(error))
    }
    await pause(systemClock, waitMs, signal)
  }
}
