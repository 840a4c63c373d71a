import { createHash } from 'node:crypto'
import { readdir, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ExecaError, execa } from 'execa'
import type { z } from 'zod'
import type { ImageConfig, Platform } from '../../crds/common.ts'
import { NoSpaceError, RegistryError } from './errors.ts'
import {
  type ImageConfiguration,
  type ImageManifest,
  imageConfigurationSchema,
  indexSchema,
  layersSize,
  manifestSchema,
} from './manifest.ts'
import { choosePlatform, formatPlatform, isFor, ownArchitecture, platformsOf } from './platform.ts'
import { formatReference, type ImageReference, parseReference } from './reference.ts'
import { registryError } from './registry-error.ts'
import { assertRoom, freeBytes } from './space.ts'

export { RegistryError } from './errors.ts'

/** How a registry is reached. registries.conf and policy.json are the system's, in /etc/containers. */
export interface RegistryAccess {
  /** Credentials, as `mergeDockerConfigs` makes them. Undefined: none, whatever the system may have. */
  authFile?: string | undefined
  /** For skopeo's temporary files. */
  scratchDir: string
}

/** An image for one platform, as a ContainerImage's `status.resolved` has it. */
export interface ResolvedImage {
  /** `repository@sha256:…` of the platform's manifest. */
  reference: string
  digest: string
  platform: Platform
  /** Compressed size of all layers. */
  sizeBytes: number
  config: ImageConfig
}

const inspectSeconds = 30

const credentials = ({ authFile }: RegistryAccess, prefix: '--' | '--src-'): string[] =>
  authFile === undefined ? [`${prefix}no-creds`] : [`${prefix}authfile`, authFile]

const skopeo = async (
  reference: ImageReference,
  args: readonly string[],
  access: RegistryAccess,
  { signal, seconds }: { signal: AbortSignal; seconds?: number },
): Promise<Buffer> => {
  const limit = seconds === undefined ? {} : { timeout: seconds * 1000 }
  try {
    const { stdout } = await execa('skopeo', args, {
      ...limit,
      encoding: 'buffer',
      // A manifest's digest is that of all its bytes.
      stripFinalNewline: false,
      stdin: 'ignore',
      cancelSignal: signal,
      env: { TMPDIR: access.scratchDir },
    })
    return Buffer.from(stdout)
  } catch (cause) {
    signal.throwIfAborted()
    if (!(cause instanceof ExecaError) || cause.code === 'ENOENT') throw cause
    const said = cause.timedOut ? `no answer within ${seconds} s: timeout` : Buffer.from(cause.stderr ?? '').toString()
    throw registryError(reference, said, { hasCredentials: access.authFile !== undefined, cause })
  }
}

const parse = (text: string): ImageReference => {
  const reference = parseReference(text)
  if (reference) return reference
  throw new RegistryError(
    'Other',
    `"${text}" is not an image reference: write it as registry/repository:tag or repository@sha256:…, in lower case`,
  )
}

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

interface Read<T> {
  value: T
  digest: string
}

const inspect = async (
  reference: ImageReference,
  what: readonly string[],
  access: RegistryAccess,
  signal: AbortSignal,
): Promise<Read<unknown>> => {
  const args = ['inspect', ...what, ...credentials(access, '--'), `docker://${formatReference(reference)}`]
  const bytes = await skopeo(reference, args, access, { signal, seconds: inspectSeconds })
  return { value: parseJson(bytes.toString()), digest: `sha256:${createHash('sha256').update(bytes).digest('hex')}` }
}

const readManifest = async (
  reference: ImageReference,
  access: RegistryAccess,
  signal: AbortSignal,
): Promise<Read<unknown>> => {
  const read = await inspect(reference, ['--raw'], access, signal)
  if (reference.digest?.startsWith('sha256:') && reference.digest !== read.digest) {
    throw new RegistryError('Other', `the registry gave ${read.digest} for "${formatReference(reference)}"`)
  }
  return read
}

const expect = <T>(schema: z.ZodType<T>, value: unknown, reference: ImageReference): T => {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  throw new RegistryError(
    'Other',
    `"${formatReference(reference)}" is no container image in OCI's format or Docker's schema 2: build or push it with a current tool`,
    { cause: parsed.error },
  )
}

const isIndex = (value: unknown): boolean => typeof value === 'object' && value !== null && 'manifests' in value

const noPlatform = (reference: ImageReference, asked: Platform, offered: readonly Platform[]): RegistryError =>
  new RegistryError(
    'NoPlatform',
    `"${formatReference(reference)}" is not there for ${formatPlatform(asked)}, only for ${offered.map(formatPlatform).join(', ') || 'no platform at all'}: set spec.platform to one that is there`,
  )

const runConfig = ({ config }: ImageConfiguration): ImageConfig => ({
  ...(config?.Entrypoint ? { entrypoint: config.Entrypoint } : {}),
  ...(config?.Cmd ? { cmd: config.Cmd } : {}),
  ...(config?.Env ? { env: config.Env } : {}),
  ...(config?.User ? { user: config.User } : {}),
  ...(config?.WorkingDir ? { workingDir: config.WorkingDir } : {}),
})

interface Found {
  reference: ImageReference
  digest: string
  manifest: ImageManifest
  /** As the index has it; undefined for an image of one platform. */
  platform: Platform | undefined
}

const find = async (
  reference: ImageReference,
  asked: Platform,
  access: RegistryAccess,
  signal: AbortSignal,
): Promise<Found> => {
  const { value, digest } = await readManifest(reference, access, signal)
  const pinned = (one: string): ImageReference => ({ ...reference, tag: undefined, digest: one })
  if (!isIndex(value)) {
    const manifest = expect(manifestSchema, value, reference)
    return { reference: pinned(digest), digest, manifest, platform: undefined }
  }
  const index = expect(indexSchema, value, reference)
  const choice = choosePlatform(index, asked)
  if (!choice)
    throw noPlatform(
      reference,
      asked,
      platformsOf(index).map(({ platform }) => platform),
    )
  const chosen = pinned(choice.digest)
  const manifest = expect(manifestSchema, (await readManifest(chosen, access, signal)).value, chosen)
  return { reference: chosen, digest: choice.digest, manifest, platform: choice.platform }
}

/**
 * What a reference stands for now. Of a multi-platform image, the one for
 * `platform`; the default is linux on this process' processor, or the only
 * platform there is.
 *
 * @throws RegistryError
 */
export const resolveImage = async (
  reference: string,
  platform: Platform | undefined,
  access: RegistryAccess,
  signal: AbortSignal,
): Promise<ResolvedImage> => {
  const asked = platform ?? { os: 'linux', architecture: ownArchitecture() }
  const found = await find(parse(reference), asked, access, signal)
  const { value } = await inspect(found.reference, ['--config', '--raw'], access, signal)
  const configuration = expect(imageConfigurationSchema, value, found.reference)
  const { os, architecture, variant } = configuration
  const own = os && architecture ? { os, architecture, ...(variant ? { variant } : {}) } : asked
  if (!found.platform && platform && !isFor(own, platform)) throw noPlatform(found.reference, platform, [own])
  return {
    reference: formatReference(found.reference),
    digest: found.digest,
    platform: found.platform ?? own,
    sizeBytes: layersSize(found.manifest),
    config: runConfig(configuration),
  }
}

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

const mebibytes = (bytes: number): number => Math.ceil(bytes / 2 ** 20)
const pollMs = 1_000
const stalledMs = 120_000

/** Tells how the download gets on; ends in a RegistryError when nothing has come for two minutes. */
const watch = async (
  dir: string,
  { total, reference, signal }: { total: number; reference: ImageReference; signal: AbortSignal },
  onProgress: (line: string) => void,
): Promise<never> => {
  let before = 0
  let since = performance.now()
  for (;;) {
    await sleep(pollMs, undefined, { signal })
    const size = await directorySize(dir)
    if (size > before) {
      onProgress(`downloaded ${mebibytes(size)} of ${mebibytes(total)} MiB`)
      before = size
      since = performance.now()
    } else if (performance.now() - since > stalledMs) {
      throw registryError(reference, `timeout: nothing came for ${stalledMs / 1000} s`, {
        hasCredentials: true,
        cause: undefined,
      })
    }
  }
}

/**
 * Copies an image of one platform, as `resolveImage` names it, into a new
 * directory (`dir:` of containers-transports(5)). skopeo checks every digest.
 * There is no directory when it fails.
 *
 * @throws RegistryError, NoSpaceError
 */
export const copyToDirectory = async (
  reference: string,
  access: RegistryAccess,
  dir: string,
  signal: AbortSignal,
  onProgress: (line: string) => void,
): Promise<void> => {
  const source = parse(reference)
  const total = layersSize(expect(manifestSchema, (await readManifest(source, access, signal)).value, source))
  assertRoom(dirname(dir), total)
  const stop = new AbortController()
  const both = AbortSignal.any([signal, stop.signal])
  const args = [
    'copy',
    '--quiet',
    ...credentials(access, '--src-'),
    `docker://${formatReference(source)}`,
    `dir:${dir}`,
  ]
  const copy = skopeo(source, args, access, { signal: both })
  try {
    await Promise.race([copy, watch(dir, { total, reference: source, signal: both }, onProgress)])
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
