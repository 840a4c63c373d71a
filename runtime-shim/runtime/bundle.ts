import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as z from 'zod/mini'
import { containers, initPath, mountRoot, progressMountPath } from '../../kube/names.ts'

export const processUserSchema = z.looseObject({
  uid: z.number(),
  gid: z.number(),
  additionalGids: z.optional(z.array(z.number())),
})
export type ProcessUser = z.infer<typeof processUserSchema>

/** What of an OCI runtime configuration (config.json) is read or changed here; the rest is kept as it came. */
const configSchema = z.looseObject({
  annotations: z._default(z.record(z.string(), z.string()), {}),
  root: z.looseObject({ path: z.string() }),
  mounts: z._default(z.array(z.looseObject({ destination: z.string(), source: z.optional(z.string()) })), []),
  process: z.looseObject({ user: processUserSchema }),
  linux: z.optional(z.looseObject({ mountLabel: z.optional(z.string()) })),
})
export type OciConfig = z.infer<typeof configSchema>

/** The same rights; containerd lists the process's own group among the additional ones, or does not. */
export const sameUser = (one: ProcessUser, other: ProcessUser): boolean => {
  const groups = ({ gid, additionalGids = [] }: ProcessUser) => new Set([gid, ...additionalGids])
  return one.uid === other.uid && one.gid === other.gid && groups(one).symmetricDifference(groups(other)).size === 0
}

export const readConfig = (bundle: string): OciConfig =>
  configSchema.parse(JSON.parse(readFileSync(join(bundle, 'config.json'), 'utf8')))

export const writeConfig = (bundle: string, config: OciConfig): void => {
  writeFileSync(join(bundle, 'config.json'), JSON.stringify(config))
}

/** What containerd says of a container; pods' own annotations are not among these. */
export interface ContainerIdentity {
  podUID: string
  role: 'main' | 'prepare' | 'other'
}

const annotation = {
  type: 'io.kubernetes.cri.container-type',
  name: 'io.kubernetes.cri.container-name',
  podUID: 'io.kubernetes.cri.sandbox-uid',
} as const

const roleOf = (annotations: OciConfig['annotations']): ContainerIdentity['role'] => {
  const name = annotations[annotation.name]
  if (annotations[annotation.type] !== 'container') return 'other'
  return name === containers.main || name === containers.prepare ? name : 'other'
}

/** It becomes a directory's name. */
const podUIDPattern = /^[0-9a-zA-Z][0-9a-zA-Z-]{0,63}$/

/** Sandboxes, the user's init containers, sidecars and debug containers are `other`. */
export const identify = ({ annotations }: OciConfig): ContainerIdentity => {
  const role = roleOf(annotations)
  const podUID = annotations[annotation.podUID] ?? ''
  if (role !== 'other' && !podUIDPattern.test(podUID))
    throw new Error(
      `the container runtime does not say which pod it is for (annotation ${annotation.podUID}): containerd 2.0 or newer does`,
    )
  return { podUID, role }
}

const isOurs = (destination: string): boolean => destination === mountRoot || destination.startsWith(`${mountRoot}/`)

/** Host paths of our volumes, by the path that the pod mounts them at. */
export const ourVolumes = ({ mounts }: OciConfig): ReadonlyMap<string, string> =>
  new Map(mounts.filter(({ destination }) => isOurs(destination)).map((each) => [each.destination, each.source ?? '']))

const bind = (source: string, destination: string) => ({
  destination,
  type: 'bind',
  source,
  options: ['bind', 'ro', 'nosuid', 'nodev', 'rprivate'],
})

const withoutOurVolumes = ({ mounts }: OciConfig) => mounts.filter(({ destination }) => !isOurs(destination))

/** `main`: the real root, its user, none of the raw volumes, and the pause init. */
export const mainConfig = (
  config: OciConfig,
  { root, user, init }: { root: string; user: ProcessUser; init: string },
): OciConfig => ({
  ...config,
  root: { ...config.root, path: root },
  process: { ...config.process, user: { ...config.process.user, ...user } },
  mounts: [...withoutOurVolumes(config), bind(init, initPath)],
})

/** `prepare`: the placeholder's root, none of the raw volumes, and the progress files. */
export const prepareConfig = (config: OciConfig, { progress }: { progress: string }): OciConfig => ({
  ...config,
  mounts: [...withoutOurVolumes(config), bind(progress, progressMountPath)],
})
