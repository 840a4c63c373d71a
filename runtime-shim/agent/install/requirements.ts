import { readFileSync } from 'node:fs'
import { release } from 'node:os'
import { join } from 'node:path'
import { installedPaths, type NodeLayout } from '../../node/layout.ts'
import { installerPaths } from './files.ts'
import { adminPath, type Host } from './host.ts'
import { assertKernel, type KernelFacts, missingModules } from './kernel.ts'
import { RefusedError } from './refused.ts'

/** Whether this node can run instances, found by trying. */

const readKernel = (): KernelFacts => ({
  release: release(),
  fileSystems: readFileSync('/proc/filesystems', 'utf8'),
  devices: readFileSync('/proc/devices', 'utf8'),
})

/**
 * Loads what the kernel needs; the host's own modprobe knows its modules.
 *
 * @throws RefusedError naming what cannot be had
 */
export const requireKernel = async (host: Host): Promise<void> => {
  // Whether they could be loaded is seen by what is there afterwards.
  for (const module of missingModules(readKernel()))
    await host.run('modprobe', [module], adminPath).catch(() => undefined)
  assertKernel(readKernel())
}

/**
 * Runs what the container runtime will run, where and as it will: the launcher
 * with its shell, the OCI runtime beneath it, and Node with its libraries.
 *
 * @param path PATH that the launcher will have
 * @returns what the OCI runtime says of itself
 * @throws RefusedError naming the part that does not work
 */
export const selfTest = async (
  host: Host,
  layout: Pick<NodeLayout, 'installDir'>,
  { underlying, path }: { underlying: string; path: string },
): Promise<string> => {
  const { launcher, node, lib } = installedPaths(layout)
  const load = `require(${JSON.stringify(join(lib, 'koffi.node'))})`
  await host.run(installerPaths(layout).loader, ['--library-path', lib, node, '--eval', load], path)
  const version = await host.run(launcher, ['--version'], path).catch((error: unknown) => {
    const why = error instanceof Error ? error.message : String(error)
    throw new RefusedError(
      `the OCI runtime "${underlying}" cannot be run with PATH ${path}: ${why}; ` +
        "install it on the node, or name another in the chart's value agent.runtime",
      { cause: error },
    )
  })
  return version.split('\n')[0] ?? ''
}
