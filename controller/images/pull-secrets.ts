import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type ContainerImage, pullSecretsOf } from '../../crds/container-image.ts'
import { hasReason, type KubeClient } from '../../kube/client.ts'
import { secrets } from '../../kube/resources.ts'
import { mergeDockerConfigs } from '../../runtime-shim/image/docker-config.ts'
import type { RegistryAccess } from '../../runtime-shim/image/skopeo.ts'
import type { Settings } from '../settings.ts'

interface PullSecretContext {
  client: Pick<KubeClient, 'get'>
  settings: Pick<Settings, 'scratchDir'>
}

/** A pull secret is not what it must be. */
export class PullSecretError extends Error {
  override name = 'PullSecretError'
}

/** Where the administrator has given the right for some namespaces only. */
const notPermitted = (error: unknown, namespace: string, name: string): unknown =>
  hasReason(error, 'Forbidden')
    ? new PullSecretError(
        `the controller may not read the Secret "${name}" of pullSecrets: an administrator lets it read those of namespace ${namespace} (pullSecretNamespaces of the chart)`,
        { cause: error },
      )
    : error

const pullSecretText = async ({ client }: PullSecretContext, namespace: string, name: string): Promise<string> => {
  const secret = await client.get(secrets, { namespace, name }).catch((error: unknown) => {
    throw notPermitted(error, namespace, name)
  })
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

/**
 * Calls `act` with the namespace's own credentials, which exist as a file for
 * just as long.
 *
 * @throws PullSecretError, DockerConfigError
 */
export const withRegistryAccess = async <T>(
  context: PullSecretContext,
  { metadata: { namespace }, spec }: ContainerImage,
  act: (access: RegistryAccess) => Promise<T>,
): Promise<T> => {
  const names = pullSecretsOf(spec.source).map(({ name }) => name)
  const texts = await Promise.all(names.map((name) => pullSecretText(context, namespace, name)))
  const dir = await mkdtemp(join(context.settings.scratchDir, 'resolve-'))
  try {
    const authFile = join(dir, 'auth.json')
    if (texts.length > 0) await writeFile(authFile, mergeDockerConfigs(texts), { mode: 0o600 })
    return await act({ authFile: texts.length > 0 ? authFile : undefined, scratchDir: dir })
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}
