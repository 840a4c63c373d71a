import { closeSync, constants, readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pullSecretVolume } from '../../../kube/names.ts'
import type { Pod } from '../../../kube/resources.ts'
import { mergeDockerConfigs } from '../../image/docker-config.ts'
import { withDirectory } from '../../mount/open.ts'
import { hasCode, openat2, resolve } from '../../mount/syscalls.ts'
import type { NodeLayout } from '../../node/layout.ts'

/** The keys of the two types of pull secret. */
const keys = ['.dockerconfigjson', '.dockercfg'] as const

/** The kubelet's copy links to its newest version inside the same directory; nothing else is followed. */
const readKey = (dirfd: number, key: string): string | undefined => {
  try {
    const fd = openat2(dirfd, key, constants.O_RDONLY, resolve.beneath | resolve.noMagiclinks | resolve.noXdev)
    try {
      return readFileSync(fd, 'utf8')
    } finally {
      closeSync(fd)
    }
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
}

const readSecret = (dir: string): string | undefined => {
  try {
    return withDirectory(dir, (dirfd) => readKey(dirfd, keys[0]) ?? readKey(dirfd, keys[1]))
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
}

const secretCount = ({ spec }: Pod): number => {
  const names = new Set((spec?.volumes ?? []).flatMap(({ name, secret }) => (secret ? [name] : [])))
  let count = 0
  while (names.has(pullSecretVolume(count))) count++
  return count
}

/**
 * The pod's pull secrets, as the kubelet has them on this node: nobody else here
 * may read secrets. Undefined while it has not laid them down yet.
 */
export const readPullSecrets = (layout: Pick<NodeLayout, 'kubeletDir'>, pod: Pod): string[] | undefined => {
  const volumes = join(layout.kubeletDir, 'pods', pod.metadata.uid, 'volumes', 'kubernetes.io~secret')
  const texts = Array.from({ length: secretCount(pod) }, (_, index) =>
    readSecret(join(volumes, pullSecretVolume(index))),
  )
  return texts.every((text) => text !== undefined) ? texts : undefined
}

/** Calls `act` with an auth file of these secrets, which is gone afterwards; undefined when there are none. */
export const withAuthFile = async <T>(
  secrets: readonly string[],
  parentDir: string,
  act: (authFile: string | undefined) => Promise<T>,
): Promise<T> => {
  if (secrets.length === 0) return act(undefined)
  const dir = await mkdtemp(join(parentDir, 'auth-'))
  try {
    const authFile = join(dir, 'auth.json')
    await writeFile(authFile, mergeDockerConfigs(secrets), { mode: 0o600 })
    return await act(authFile)
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}
