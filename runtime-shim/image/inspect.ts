import { createHash } from 'node:crypto'
import type * as z from 'zod'
import { runProgram } from '../node/program.ts'
import { RegistryError } from './errors.ts'
import { type ImageManifest, manifestSchema } from './manifest.ts'
import { formatReference, type ImageReference, parseReference } from './reference.ts'
import { registryError } from './registry-error.ts'

/** How a registry is reached. registries.conf and policy.json are the system's, in /etc/containers, or those of a user's home. */
export interface RegistryAccess {
  /** Credentials, as `mergeDockerConfigs` makes them. Undefined: none, whatever the system may have. */
  authFile?: string | undefined
  /** For skopeo's temporary files. */
  scratchDir: string
  /** skopeo's environment, instead of this process' own. */
  env?: NodeJS.ProcessEnv | undefined
}

/** Something in a registry, and how it is reached. */
export interface Remote {
  reference: ImageReference
  /** Which member of a ContainerImage's `spec.source` names it, for messages. */
  source: 'registry' | 'file'
  access: RegistryAccess
}

const inspectSeconds = 30

export const credentials = ({ authFile }: RegistryAccess, prefix: '--' | '--src-'): string[] =>
  authFile === undefined ? [`${prefix}no-creds`] : [`${prefix}authfile`, authFile]

/**
 * Runs skopeo; the answer is what it writes.
 *
 * @param onOutput called when the first of it comes
 * @throws RegistryError
 */
export const skopeo = async (
  remote: Remote,
  args: readonly string[],
  { signal, seconds, onOutput }: { signal: AbortSignal; seconds?: number; onOutput?: () => void },
): Promise<Buffer> => {
  signal.throwIfAborted()
  const { env: own = process.env, scratchDir } = remote.access
  const env = { ...own, TMPDIR: scratchDir }
  const timeoutMs = seconds === undefined ? 0 : seconds * 1000
  const { stdout, stderr, exitCode, timedOut } = await runProgram('skopeo', args, { env, timeoutMs, signal, onOutput })
  signal.throwIfAborted()
  if (exitCode === 0) return stdout
  throw registryError(remote, timedOut ? `no answer within ${seconds} s: timeout` : stderr)
}

/** @throws RegistryError when it is none */
export const parseImageReference = (text: string): ImageReference => {
  const reference = parseReference(text)
  if (reference) return reference
  throw new RegistryError(
    'Invalid',
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

const inspect = async (remote: Remote, what: readonly string[], signal: AbortSignal): Promise<Read<unknown>> => {
  const { reference, access } = remote
  const args = ['inspect', ...what, ...credentials(access, '--'), `docker://${formatReference(reference)}`]
  const bytes = await skopeo(remote, args, { signal, seconds: inspectSeconds })
  return { value: parseJson(bytes.toString()), digest: `sha256:${createHash('sha256').update(bytes).digest('hex')}` }
}

/** The manifest or index that the reference names, with its digest. @throws RegistryError */
export const readManifest = async (remote: Remote, signal: AbortSignal): Promise<Read<unknown>> => {
  const { reference } = remote
  const read = await inspect(remote, ['--raw'], signal)
  if (reference.digest?.startsWith('sha256:') && reference.digest !== read.digest) {
    throw new RegistryError('Other', `the registry gave ${read.digest} for "${formatReference(reference)}"`)
  }
  return read
}

/** The configuration of an image of one platform. @throws RegistryError */
export const readConfiguration = async (remote: Remote, signal: AbortSignal): Promise<unknown> =>
  (await inspect(remote, ['--config', '--raw'], signal)).value

/** @throws RegistryError when the registry has something else there */
export const expectImage = <T>(schema: z.ZodType<T>, value: unknown, reference: ImageReference): T => {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  throw new RegistryError(
    'Other',
    `"${formatReference(reference)}" is no container image in OCI's format or Docker's schema 2: build or push it with a current tool`,
    { cause: parsed.error },
  )
}

/** The manifest of one image, which the reference names by its digest. @throws RegistryError */
export const readImageManifest = async (remote: Remote, signal: AbortSignal): Promise<ImageManifest> =>
  expectImage(manifestSchema, (await readManifest(remote, signal)).value, remote.reference)
