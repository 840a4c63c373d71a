import type { ImageConfig, Platform } from '../../crds/common.ts'
import type { ContainerImage, ContainerImageStatus } from '../../crds/container-image.ts'
import { isAllowed, notAllowed, notAllowedReason, type SourceKind } from '../../kube/allowed-sources.ts'
import { timestamp } from '../../kube/clock.ts'
import { formatFileReference, formatVolumeReference, volumeDigest } from '../../kube/image-source.ts'
import { claims } from '../../kube/resources.ts'
import { DockerConfigError } from '../../runtime-shim/image/docker-config.ts'
import { FileError, RegistryError } from '../../runtime-shim/image/errors.ts'
import { resolveArtifact } from '../../runtime-shim/image/oras.ts'
import { ownArchitecture } from '../../runtime-shim/image/platform.ts'
import { resolveImage } from '../../runtime-shim/image/skopeo.ts'
import type { Context } from '../context.ts'
import { PullSecretError, withRegistryAccess } from './pull-secrets.ts'
import { lookAtFile } from './remote-file.ts'
import { digestOfFile, sourceHashOf } from './source-hash.ts'

export type Resolved = NonNullable<ContainerImageStatus['resolved']>

export type Finding =
  | { kind: 'resolved'; resolved: Resolved }
  /** Tried again after a while. */
  | { kind: 'failed'; reason: string; message: string }
  /** What the spec names is there, and is not what it must be: one of the two has to change. */
  | { kind: 'unsuitable'; reason: string; message: string }
  /** The administrator has not opened this source to the namespace, or not for want of a signature. */
  | { kind: 'notAllowed'; reason: string; message: string }

type Source = ContainerImage['spec']['source']
type Found = Omit<Resolved, 'resolveTime' | 'sourceHash'>

/** The claim of an image on a volume is not there, or of no use. */
class ClaimError extends Error {
  override name = 'ClaimError'
  readonly reason: 'ClaimNotFound' | 'ClaimUnsuitable'
  constructor(reason: ClaimError['reason'], message: string) {
    super(message)
    this.reason = reason
  }
}

/** The artifact has another file than the spec says. */
class DigestMismatchError extends Error {
  override name = 'DigestMismatchError'
}

const longestMs = 60_000

/** What Singularity and Apptainer run in a container; their files say no more than that. */
const fileConfig: ImageConfig = {
  entrypoint: ['/.singularity.d/runscript'],
  env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
}

const platformOf = ({ platform }: ContainerImage['spec']): Platform =>
  platform ?? { os: 'linux', architecture: ownArchitecture() }

const resolveFile = async (
  context: Context,
  image: ContainerImage,
  { url, sha256 }: NonNullable<Source['file']>,
): Promise<Found> => {
  const signal = AbortSignal.timeout(longestMs)
  const rest = { platform: platformOf(image.spec), config: fileConfig }
  if (url.startsWith('oras://')) {
    const found = await withRegistryAccess(context, image, (access) => resolveArtifact(url, access, signal))
    const { reference, digest, sizeBytes } = found
    if (sha256 !== undefined && found.fileDigest !== digestOfFile(sha256)) {
      const message = `the file of ${url} has ${found.fileDigest}, not the sha256 ${sha256} of spec.source.file: correct it, or name the artifact that you mean`
      throw new DigestMismatchError(message)
    }
    return { reference, digest, sizeBytes, ...rest }
  }
  const { sizeBytes = 0 } = await lookAtFile(url, signal)
  const digest = digestOfFile(sha256 ?? '')
  return { reference: formatFileReference(url, digest), digest, sizeBytes, ...rest }
}

const resolveVolume = async (
  { client }: Context,
  { metadata: { namespace }, spec }: ContainerImage,
  { claimName, path }: NonNullable<Source['volume']>,
): Promise<Found> => {
  const claim = await client.get(claims, { namespace, name: claimName })
  if (!claim || claim.metadata.deletionTimestamp) {
    const state = claim ? 'is being deleted' : `is not in namespace ${namespace}`
    throw new ClaimError(
      'ClaimNotFound',
      `PersistentVolumeClaim ${claimName} ${state}: create it, or correct spec.source.volume.claimName`,
    )
  }
  if (claim.spec?.volumeMode === 'Block') {
    const message = `PersistentVolumeClaim ${claimName} has volumeMode Block: an image lies in a file system, use a claim that has one`
    throw new ClaimError('ClaimUnsuitable', message)
  }
  if (claim.status?.phase === 'Lost') {
    throw new ClaimError('ClaimUnsuitable', `the volume of PersistentVolumeClaim ${claimName} is gone: restore it`)
  }
  const digest = volumeDigest(namespace, claim.metadata.uid, path)
  return {
    reference: formatVolumeReference({ claimName, path }, digest),
    digest,
    platform: platformOf(spec),
    sizeBytes: 0,
    config: fileConfig,
  }
}

const resolve = (context: Context, image: ContainerImage): Promise<Found> => {
  const { registry, file, volume } = image.spec.source
  if (file) return resolveFile(context, image, file)
  if (volume) return resolveVolume(context, image, volume)
  const signal = AbortSignal.timeout(longestMs)
  return withRegistryAccess(context, image, (access) =>
    resolveImage(registry?.image ?? '', image.spec.platform, access, signal),
  )
}

const registryReasons: Record<RegistryError['kind'], string> = {
  NotFound: 'ImageNotFound',
  Unauthorized: 'ImageUnauthorized',
  Unreachable: 'RegistryUnreachable',
  NoPlatform: 'PlatformNotFound',
  NoSpace: 'NoSpace',
  Refused: 'ImageRefusedByPolicy',
  Invalid: 'ImageReferenceInvalid',
  Other: 'ResolveFailed',
}

const fileReasons: Record<FileError['kind'], string> = {
  NotFound: 'ImageNotFound',
  Unauthorized: 'ImageUnauthorized',
  Unreachable: 'ImageUnreachable',
  Mismatch: 'ResolveFailed',
  Other: 'ResolveFailed',
}

/** Of `AbortSignal.timeout`. */
const isTimeout = (error: unknown): boolean => error instanceof DOMException && error.name === 'TimeoutError'

const reasonOf = (error: unknown): string | undefined => {
  if (error instanceof RegistryError) return registryReasons[error.kind]
  if (error instanceof FileError) return fileReasons[error.kind]
  if (error instanceof ClaimError) return error.reason
  if (error instanceof DigestMismatchError) return 'ImageDigestMismatch'
  if (isTimeout(error)) return 'ImageUnreachable'
  return error instanceof PullSecretError || error instanceof DockerConfigError ? 'PullSecretInvalid' : undefined
}

/** How a failed look is taken: whether trying again can mend it, and whose doing would. */
const failureOf = (error: Error): 'failed' | 'unsuitable' | 'notAllowed' => {
  if (error instanceof RegistryError && error.kind === 'Refused') return 'notAllowed'
  const isUnsuitable =
    (error instanceof RegistryError && error.kind === 'Invalid') ||
    error instanceof DigestMismatchError ||
    (error instanceof ClaimError && error.reason === 'ClaimUnsuitable')
  return isUnsuitable ? 'unsuitable' : 'failed'
}

const sourceKind = ({ file, volume }: Source): SourceKind | undefined => {
  if (file) return 'file'
  return volume ? 'volume' : undefined
}

/** Why the image may not come from there at all; undefined when it may. */
export const refusalOf = ({ settings }: Context, { metadata, spec }: ContainerImage): Finding | undefined => {
  const kind = sourceKind(spec.source)
  if (!kind || isAllowed(settings.allowedSources, kind, metadata.namespace)) return undefined
  return { kind: 'notAllowed', reason: notAllowedReason, message: notAllowed(kind, metadata.namespace) }
}

/** What the source stands for now, or why that cannot be told. */
export const find = async (context: Context, image: ContainerImage): Promise<Finding> => {
  try {
    const found = await resolve(context, image)
    const resolveTime = timestamp(context.clock.now())
    return { kind: 'resolved', resolved: { ...found, sourceHash: sourceHashOf(image.spec), resolveTime } }
  } catch (error) {
    const reason = reasonOf(error)
    if (reason === undefined || !(error instanceof Error)) throw error
    const late = `no answer within ${longestMs / 1000} s; it is tried again`
    return { kind: failureOf(error), reason, message: isTimeout(error) ? late : error.message }
  }
}
