import { rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { NoSpaceError, RegistryError } from './errors.ts'
import { credentials, type Remote, skopeo } from './inspect.ts'
import { type ImageManifest, layersSize } from './manifest.ts'
import { createJudge, type Pace, usualPace } from './pace.ts'
import { downloaded, progressMs } from './progress.ts'
import { formatReference } from './reference.ts'
import { registryError } from './registry-error.ts'
import { assertRoom, directorySize, freeBytes, type Room } from './space.ts'

/** skopeo writes a large layer to disk to the end before it reads on. */
const copyPace: Pace = { ...usualPace, silenceMs: 120_000 }

/** Manifest and configuration lie beside the layers. */
const besideLayers = 16 * 2 ** 20

/** @throws RegistryError when there is more than the manifest says: nobody has asked whether there is room for that */
const assertSize = (size: number, total: number, { reference }: Remote): void => {
  if (size <= total + besideLayers) return
  throw new RegistryError(
    'Other',
    `the registry gives more for "${formatReference(reference)}" than its manifest says: push it anew`,
  )
}

/** Tells how the download gets on; ends in a RegistryError when too little comes, or more than the manifest says. */
const watch = async (
  dir: string,
  { total, remote, signal }: { total: number; remote: Remote; signal: AbortSignal },
  onProgress: (line: string) => void,
): Promise<never> => {
  const judge = createJudge(copyPace)
  for (let before = 0; ; ) {
    await sleep(progressMs, undefined, { signal })
    const size = await directorySize(dir)
    assertSize(size, total, remote)
    const fault = judge(size)
    if (fault !== undefined) throw registryError(remote, `timeout: ${fault}`)
    if (size > before) onProgress(downloaded(size, total))
    before = Math.max(before, size)
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
  { signal, onProgress, room }: { signal: AbortSignal; onProgress(line: string): void; room?: Room | undefined },
): Promise<number> => {
  const { reference, access } = remote
  const total = layersSize(manifest)
  assertRoom(dirname(dir), total, room)
  const stop = new AbortController()
  const both = AbortSignal.any([signal, stop.signal])
  const args = [
    // They are judged all the same, and of no use later.
    ...['copy', '--quiet', '--remove-signatures', ...credentials(access, '--src-')],
    ...[`docker://${formatReference(reference)}`, `dir:${dir}`],
  ]
  const copy = skopeo(remote, args, { signal: both })
  try {
    await Promise.race([copy, watch(dir, { total, remote, signal: both }, onProgress)])
    assertSize(await directorySize(dir), total, remote)
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
