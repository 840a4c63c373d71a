import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ContainerImage, ContainerImageStatus } from '../../crds/container-image.ts'
import type { Attempts } from '../../kube/attempts.ts'
import { timestamp } from '../../kube/clock.ts'
import { parseKey } from '../../kube/resource.ts'
import { containerImages, secrets } from '../../kube/resources.ts'
import { DockerConfigError, mergeDockerConfigs } from '../../runtime-shim/image/docker-config.ts'
import { RegistryError, resolveImage } from '../../runtime-shim/image/skopeo.ts'
import { announce } from '../announce.ts'
import { conditionOf, mergeConditions, type Standing, standingConditions } from '../conditions.ts'
import type { Context, Result } from '../context.ts'
import { writeStatus } from '../write-status.ts'

type Resolved = NonNullable<ContainerImageStatus['resolved']>

type Finding = { kind: 'resolved'; resolved: Resolved } | { kind: 'failed'; reason: string; message: string }

/** A pull secret is not what it must be. */
class PullSecretError extends Error {
  override name = 'PullSecretError'
}

const pullSecretText = async ({ client }: Context, namespace: string, name: string): Promise<string> => {
  const secret = await client.get(secrets, { namespace, name })
  if (!secret) {
    throw new PullSecretError(
      `pullSecrets names the Secret "${name}", which is not in namespace ${namespace}: create it there`,
    )
  }
  const encoded = secret.data?.['.dockerconfigjson'] ?? secret.data?.['.dockercfg']
  if (encoded === undefined) {
    throw new PullSecretError(
      `the Secret "${name}" of pullSecrets has no .dockerconfigjson: make it with kubectl create secret docker-registry`,
    )
  }
  return Buffer.from(encoded, 'base64').toString()
}

/** Resolves with the namespace's own credentials, which exist as a file for just as long. */
const resolve = async (context: Context, image: ContainerImage): Promise<Resolved> => {
  const { registry } = image.spec.source
  const { scratchDir } = context.settings
  const names = (registry.pullSecrets ?? []).map(({ name }) => name)
  const texts = await Promise.all(names.map((name) => pullSecretText(context, image.metadata.namespace, name)))
  const dir = await mkdtemp(join(scratchDir, 'resolve-'))
  try {
    const authFile = join(dir, 'auth.json')
    if (texts.length > 0) await writeFile(authFile, mergeDockerConfigs(texts), { mode: 0o600 })
    const access = { authFile: texts.length > 0 ? authFile : undefined, scratchDir: dir }
    const found = await resolveImage(registry.image, image.spec.platform, access, AbortSignal.timeout(60_000))
    return { ...found, resolveTime: timestamp(context.clock.now()) }
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

const reasons: Record<RegistryError['kind'], string> = {
  NotFound: 'ImageNotFound',
  Unauthorized: 'ImageUnauthorized',
  Unreachable: 'RegistryUnreachable',
  NoPlatform: 'PlatformNotFound',
  NoSpace: 'NoSpace',
  Other: 'ResolveFailed',
}

const find = async (context: Context, image: ContainerImage): Promise<Finding> => {
  try {
    return { kind: 'resolved', resolved: await resolve(context, image) }
  } catch (error) {
    if (error instanceof RegistryError) return { kind: 'failed', reason: reasons[error.kind], message: error.message }
    if (error instanceof PullSecretError || error instanceof DockerConfigError) {
      return { kind: 'failed', reason: 'PullSecretInvalid', message: error.message }
    }
    throw error
  }
}

const standingOf = (finding: Finding): Standing =>
  finding.kind === 'resolved'
    ? { kind: 'ready', reason: 'Resolved', message: finding.resolved.reference }
    : { kind: 'progressing', reason: finding.reason, message: finding.message }

const isSettled = ({ metadata, status }: ContainerImage): boolean =>
  status.resolved !== undefined &&
  status.observedGeneration === metadata.generation &&
  conditionOf(status.conditions, 'Ready')?.status === 'True'

/** Quick for a slip of the pen, kind to a registry. */
const retryPace = { firstMs: 2_000, longestMs: 30_000 }

/** Tag → digest and configuration, once for each generation. */
export const createImageReconciler =
  (context: Context, attempts: Attempts) =>
  async (key: string): Promise<Result> => {
    const image = context.caches.images.get(parseKey(key))
    if (!image || image.metadata.deletionTimestamp || isSettled(image)) return {}
    const { uid, generation } = image.metadata
    const tries = `${uid}/${generation}`
    const remaining = attempts.remainingMs(tries)
    if (remaining > 0) return { requeueAfterMs: remaining }
    const finding = await find(context, image)
    const now = context.clock.now()
    const after: ContainerImageStatus = {
      observedGeneration: generation,
      ...(finding.kind === 'resolved' ? { resolved: finding.resolved } : {}),
      conditions: mergeConditions(image.status.conditions, standingConditions(standingOf(finding)), {
        generation,
        now,
      }),
    }
    const written = await writeStatus(context.client, containerImages, image, { before: image.status, after })
    context.caches.images.note(written)
    announce(
      context.events,
      { kind: 'ContainerImage', metadata: image.metadata },
      image.status.conditions,
      after.conditions,
    )
    if (finding.kind === 'failed') return { requeueAfterMs: attempts.next(tries, retryPace).waitMs }
    attempts.forget(tries)
    return {}
  }
