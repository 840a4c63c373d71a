import type { ImageConfig, Platform } from '../../crds/common.ts'
import { copyRemote } from './copy.ts'
import { RegistryError } from './errors.ts'
import {
  expectImage,
  parseImageReference,
  type RegistryAccess,
  type Remote,
  readConfiguration,
  readImageManifest,
  readManifest,
} from './inspect.ts'
import {
  type ImageConfiguration,
  type ImageManifest,
  imageConfigurationSchema,
  indexSchema,
  layersSize,
  manifestSchema,
} from './manifest.ts'
import { choosePlatform, formatPlatform, isFor, ownArchitecture, platformsOf } from './platform.ts'
import { assertAllowed } from './policy.ts'
import { formatReference, type ImageReference } from './reference.ts'

export type { RegistryAccess } from './inspect.ts'

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
  ...(config?.StopSignal ? { stopSignal: config.StopSignal.slice(0, 32) } : {}),
})

interface Found {
  reference: ImageReference
  digest: string
  manifest: ImageManifest
  /** As the index has it; undefined for an image of one platform. */
  platform: Platform | undefined
}

const find = async (remote: Remote, asked: Platform, signal: AbortSignal): Promise<Found> => {
  const { reference } = remote
  const { value, digest } = await readManifest(remote, signal)
  const pinned = (one: string): ImageReference => ({ ...reference, tag: undefined, digest: one })
  if (!isIndex(value)) {
    const manifest = expectImage(manifestSchema, value, reference)
    return { reference: pinned(digest), digest, manifest, platform: undefined }
  }
  const index = expectImage(indexSchema, value, reference)
  const choice = choosePlatform(index, asked)
  if (!choice)
    throw noPlatform(
      reference,
      asked,
      platformsOf(index).map(({ platform }) => platform),
    )
  const chosen = pinned(choice.digest)
  const manifest = await readImageManifest({ ...remote, reference: chosen }, signal)
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
  const remote: Remote = { reference: parseImageReference(reference), source: 'registry', access }
  const found = await find(remote, asked, signal)
  await assertAllowed({ ...remote, reference: found.reference }, signal)
  const value = await readConfiguration({ ...remote, reference: found.reference }, signal)
  const configuration = expectImage(imageConfigurationSchema, value, found.reference)
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

/**
 * Copies an image of one platform, as `resolveImage` names it, into a new
 * directory (`dir:` of containers-transports(5)). skopeo checks every digest.
 * There is no directory when it fails.
 *
 * @returns how many bytes the registry gave
 * @throws RegistryError, NoSpaceError
 */
export const copyToDirectory = async (
  reference: string,
  access: RegistryAccess,
  dir: string,
  options: Parameters<typeof copyRemote>[3],
): Promise<number> => {
  const remote: Remote = { reference: parseImageReference(reference), source: 'registry', access }
  return copyRemote(remote, await readImageManifest(remote, options.signal), dir, options)
}
