import { mkdtemp, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { copyRemote } from './copy.ts'
import { RegistryError } from './errors.ts'
import { parseImageReference, type RegistryAccess, type Remote, readManifest } from './inspect.ts'
import { type ImageManifest, manifestSchema } from './manifest.ts'
import { assertAllowed } from './policy.ts'
import { formatReference } from './reference.ts'
import type { Room } from './space.ts'

/**
 * Files as artifacts in a registry, one layer each, as `apptainer push`,
 * `singularity push` and `oras push` put them there.
 */

const scheme = 'oras://'

/** An artifact, as a ContainerImage's `status.resolved` has it, and its file. */
export interface ResolvedArtifact {
  /** `oras://host/repository@sha256:…` of the manifest. */
  reference: string
  /** Of the manifest. */
  digest: string
  /** Of the file. */
  sizeBytes: number
  /** `sha256:…` of the file. */
  fileDigest: string
}

const remoteOf = (url: string, access: RegistryAccess): Remote => ({
  reference: parseImageReference(url.slice(scheme.length)),
  source: 'file',
  access,
})

type Descriptor = ImageManifest['layers'][number]

/** Configurations of container images, in OCI's format and in Docker's. */
const isContainerImage = ({ config }: ImageManifest): boolean =>
  /^application\/vnd\.(oci\.image|docker\.container\.image)\./.test(config.mediaType ?? '')

const fileOf = (value: unknown, url: string): { manifest: ImageManifest; file: Descriptor } => {
  const refused = (what: string): RegistryError => new RegistryError('Other', `${url} ${what}`)
  const { success, data: manifest } = manifestSchema.safeParse(value)
  if (!success) throw refused('is no artifact with one file: push the file with apptainer push or oras push')
  if (isContainerImage(manifest))
    throw refused('is a container image, not a file: name it in spec.source.registry, without oras://')
  const [file, ...more] = manifest.layers
  if (!file || more.length > 0)
    throw refused(`has ${manifest.layers.length} files, and must have one: the squashfs, SIF or .simg`)
  return { manifest, file }
}

/**
 * What an `oras://` URL stands for now.
 *
 * @throws RegistryError
 */
export const resolveArtifact = async (
  url: string,
  access: RegistryAccess,
  signal: AbortSignal,
): Promise<ResolvedArtifact> => {
  const remote = remoteOf(url, access)
  const { value, digest } = await readManifest(remote, signal)
  const { file } = fileOf(value, url)
  const reference = { ...remote.reference, tag: undefined, digest }
  await assertAllowed({ ...remote, reference }, signal)
  const pinned = formatReference(reference)
  return { reference: `${scheme}${pinned}`, digest, sizeBytes: file.size, fileDigest: file.digest }
}

/**
 * Brings the file of an artifact, as `resolveArtifact` names it, to `target`, on
 * the same file system as `scratchDir`. Nothing is left behind when it fails.
 *
 * @returns the file's size and digest
 * @throws RegistryError, NoSpaceError
 */
export const fetchArtifact = async (
  reference: string,
  access: RegistryAccess,
  target: string,
  options: { scratchDir: string; signal: AbortSignal; onProgress(line: string): void; room?: Room | undefined },
): Promise<{ sizeBytes: number; digest: string }> => {
  const scratch = await mkdtemp(join(options.scratchDir, 'artifact-'))
  try {
    const remote = remoteOf(reference, { ...access, scratchDir: scratch })
    const { manifest, file } = fileOf((await readManifest(remote, options.signal)).value, reference)
    const dir = join(scratch, 'image')
    await copyRemote(remote, manifest, dir, options)
    // A blob's name is its digest without the algorithm.
    await rename(join(dir, file.digest.slice(file.digest.indexOf(':') + 1)), target)
    // What the manifest says of it is only said.
    return { sizeBytes: (await stat(target)).size, digest: file.digest }
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}
