import { closeSync, constants, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pullSecretVolume } from '../../../kube/names.ts'
import type { Pod } from '../../../kube/resources.ts'
import { mergeDockerConfigs } from '../../image/docker-config.ts'
import { hasCode } from '../../mount/error-code.ts'
import { withDirectory } from '../../mount/open.ts'
import { openat2, resolve } from '../../mount/syscalls.ts'
import type { NodeLayout } from '../../node/layout.ts'
import { Trouble } from '../trouble.ts'

/** The keys of the two types of pull secret. */
const keys = ['.dockerconfigjson', '.dockercfg'] as const

/** What the kubelet's copy has as soon as it is whole: the link to its newest version. */
const complete = '..data'

const ifThere = <T>(act: () => T): T | undefined => {
  try {
    return act()
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
}

/** Links lead to the newest version inside the same directory; nothing else is followed. */
const openInside = (dirfd: number, path: string, flags: number): number =>
  openat2(dirfd, path, flags, resolve.beneath | resolve.noMagiclinks | resolve.noXdev)

const readKey = (dirfd: number, key: string): string | undefined =>
  ifThere(() => {
    const fd = openInside(dirfd, key, constants.O_RDONLY)
    try {
      return readFileSync(fd, 'utf8')
    } finally {
      closeSync(fd)
    }
  })

interface SecretVolume {
  name: string
  /** Whether it is empty, and that is no fault, where there is no such Secret. */
  optional: boolean
}

/** What is in it; undefined while it is not there yet. */
const readSecret = (dir: string, { name: volume, optional }: SecretVolume): string[] | undefined =>
  ifThere(() =>
    withDirectory(join(dir, volume), (dirfd) => {
      closeSync(openInside(dirfd, complete, constants.O_RDONLY | constants.O_DIRECTORY))
      const text = readKey(dirfd, keys[0]) ?? readKey(dirfd, keys[1])
      if (text !== undefined) return [text]
      if (optional) return []
      throw new Trouble(
        'ImagePullSecretInvalid',
        `the pull secret in volume ${volume} has neither ${keys.join(' nor ')}: make it with kubectl create secret docker-registry`,
      )
    }),
  )

const secretVolumes = ({ spec }: Pod): SecretVolume[] => {
  const secrets = new Map((spec?.volumes ?? []).flatMap(({ name, secret }) => (secret ? [[name, secret]] : [])))
  const volumes: SecretVolume[] = []
  for (;;) {
    const name = pullSecretVolume(volumes.length)
    const secret = secrets.get(name)
    if (!secret) return volumes
    volumes.push({ name, optional: secret.optional === true })
  }
}

/**
 * The pod's pull secrets, as the kubelet has them on this node: nobody else here
 * may read secrets. Undefined while it has not laid them down yet.
 *
 * @throws Trouble for a secret that is none for a registry
 */
export const readPullSecrets = (layout: Pick<NodeLayout, 'kubeletDir'>, pod: Pod): string[] | undefined => {
  const dir = join(layout.kubeletDir, 'pods', pod.metadata.uid, 'volumes', 'kubernetes.io~secret')
  const texts = secretVolumes(pod).map((volume) => readSecret(dir, volume))
  return texts.every((text) => text !== undefined) ? texts.flat() : undefined
}

/** In memory only: the state directory is a tmpfs. */
const authDir = ({ stateDir }: Pick<NodeLayout, 'stateDir'>): string => join(stateDir, 'auth')

/** Calls `act` with an auth file of these secrets, which is gone afterwards; undefined when there are none. */
export const withAuthFile = async <T>(
  secrets: readonly string[],
  layout: Pick<NodeLayout, 'stateDir'>,
  act: (authFile: string | undefined) => Promise<T>,
): Promise<T> => {
  if (secrets.length === 0) return act(undefined)
  mkdirSync(authDir(layout), { recursive: true, mode: 0o700 })
  const dir = await mkdtemp(join(authDir(layout), 'auth-'))
  try {
    const authFile = join(dir, 'auth.json')
    await writeFile(authFile, mergeDockerConfigs(secrets), { mode: 0o600 })
    return await act(authFile)
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

/** Removes auth files that a killed agent left. */
export const sweepAuthFiles = (layout: Pick<NodeLayout, 'stateDir'>): void =>
  rmSync(authDir(layout), { recursive: true, force: true })
