import { existsSync, readFileSync } from 'node:fs'
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { KubeClient } from '../../../kube/client.ts'
import { pause, systemClock } from '../../../kube/clock.ts'
import type { Logger } from '../../../kube/log.ts'
import { nodes } from '../../../kube/resources.ts'
import { installedPaths, type NodeLayout } from '../../node/layout.ts'
import { assertImports, configPath, dropIn, dropInPath, handlerName, usesSystemdCgroup } from './containerd.ts'
import { installFiles, runtimeFiles } from './files.ts'
import { restartContainerd } from './restart.ts'

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

const isListed = async ({ client, nodeName }: HandlerOptions): Promise<boolean> => {
  const node = await client.get(nodes, { namespace: '', name: nodeName })
  return node?.status?.runtimeHandlers?.some(({ name }) => name === handlerName) ?? false
}

/** The kubelet asks containerd for its handlers every few seconds. */
const listedEveryMs = 250
const longestListingMs = 60_000

const awaitListed = async (options: HandlerOptions): Promise<void> => {
  for (let waited = 0; !options.signal.aborted; waited += listedEveryMs) {
    if (await isListed(options)) return
    if (waited > longestListingMs) {
      throw new Error(`the kubelet does not list the handler "${handlerName}" although ${dropInPath} is there`)
    }
    await pause(systemClock, listedEveryMs, options.signal)
  }
}

const installOnce = async (options: HandlerOptions): Promise<void> => {
  const { layout, appDir, log } = options
  const replaced = await installFiles(runtimeFiles(layout, { appDir }))
  if (replaced.length > 0) log.info({ files: replaced }, 'installed the runtime')
  const config = readIfThere(configPath)
  assertImports(config)
  const wanted = dropIn(installedPaths(layout).launcher, { systemdCgroup: usesSystemdCgroup(config ?? '') })
  if (readIfThere(dropInPath) !== wanted) {
    await replaceFile(dropInPath, wanted)
    log.info({ file: dropInPath }, 'restarting containerd: its handler is new')
    await restartContainerd()
  }
  await awaitListed(options)
}

const retryMs = 10_000

/**
 * Installs the runtime and its handler, and returns when the kubelet lists it.
 * What is there already is not touched, and containerd not restarted for it.
 */
export const installHandler = async (options: HandlerOptions): Promise<void> => {
  const { log, signal } = options
  while (!signal.aborted) {
    try {
      return await installOnce(options)
    } catch (error) {
      log.error({ err: error }, 'the runtime handler could not be installed: trying again')
    }
    await pause(systemClock, retryMs, signal)
  }
}
