import { readdir, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { NoSpaceError, RegistryError } from './errors.ts'
import { credentials, type Remote, skopeo } from './inspect.ts'
import { type ImageManifest, layersSize } from './manifest.ts'
import { downloaded, progressMs, stalledMs } from './progress.ts'
import { formatReference } from './reference.ts'
import { registryError } from './registry-error.ts'
import { assertRoom, freeBytes } from './space.ts'

const directorySize = async (dir: string): Promise<number> => {
  const names = await readdir(dir).catch(() => [])
  const sizes = await Promise.all(
    names.map((name) =>
      stat(join(dir, name)).then(
        ({ size }) => size,
        () => 0,
      ),
    ),
  )
  return sizes.reduce((sum, size) => sum + size, 0)
}

/** Tells how the download gets on; ends in a RegistryError when nothing has come for two minutes. */
const watch = async (
  dir: string,
  { total, remote, signal }: { total: number; remote: Remote; signal: AbortSignal },
  onProgress: (line: string) => void,
): Promise<never> => {
  let before = 0
  let since = performance.now()
  for (;;) {
    await sleep(progressMs, undefined, { signal })
    const size = await directorySize(dir)
    if (size > before) {
      onProgress(downloaded(size, total))
      before = size
      since = performance.now()
    } else if (performance.now() - since > stalledMs) {
      throw registryError(remote, `timeout: nothing came for ${stalledMs / 1000} s`, undefined)
    }
  }
}

/**
 * Copies what the manifest lists into a new directory (`dir:` of
 * containers-transports(5)). skopeo checks every digest. There is no directory
 * when it fails.
 *
 * @returns how many bytes the registry gave
 * @throws RegistryError, NoSpaceError
 */
export const copyRemote = async (
  remote: Remote,
  manifest: ImageManifest,
  dir: string,
  { signal, onProgress }: { signal: AbortSignal; onProgress(line: string): void },
): Promise<number> => {
  const { reference, access } = remote
  const total = layersSize(manifest)
  assertRoom(dirname(dir), total)
  const stop = new AbortController()
  const both = AbortSignal.any([signal, stop.signal])
  const args = [
    ...['copy', '--quiet', ...credentials(access, '--src-')],
    ...[`docker://${formatReference(reference)}`, `dir:${dir}`],
  ]
  const copy = skopeo(remote, args, { signal: both })
  try {
    await Promise.race([copy, watch(dir, { total, remote, signal: both }, onProgress)])
    return total
  } catch (error) {
    stop.abort()
    await copy.catch(() => {})
    await rm(dir, { recursive: true, force: true })
    signal.throwIfAborted()
    if (!(error instanceof RegistryError && error.kind === 'NoSpace')) throw error
    const path = dirname(dir)
    throw new NoSpaceError({ path, needed: total, free: freeBytes(path) }, { cause: error })
  } finally {
    stop.abort()
  }
}
