import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as z from 'zod/mini'
import { initPath, mountRoot, progressMountPath } from '../../kube/names.ts'
import type { DeviceNumbers } from '../mount/parts.ts'

export const processUserSchema = z.looseObject({
  uid: z.number(),
  gid: z.number(),
  additionalGids: z.optional(z.array(z.number())),
})
export type ProcessUser = z.infer<typeof processUserSchema>

const deviceFields = { type: z.optional(z.string()), major: z.optional(z.number()), minor: z.optional(z.number()) }

/** What of an OCI runtime configuration (config.json) is read or changed here; the rest is kept as it came. */
const configSchema = z.looseObject({
  annotations: z._default(z.record(z.string(), z.string()), {}),
  root: z.looseObject({ path: z.string() }),
  mounts: z._default(z.array(z.looseObject({ destination: z.string(), source: z.optional(z.string()) })), []),
  process: z.looseObject({
    user: processUserSchema,
    args: z.optional(z.array(z.string())),
    env: z.optional(z.array(z.string())),
  }),
  linux: z.optional(
    z.looseObject({
      mountLabel: z.optional(z.string()),
      cgroupsPath: z.optional(z.string()),
      devices: z.optional(z.array(z.looseObject({ path: z.string(), ...deviceFields }))),
      resources: z.optional(z.looseObject({ devices: z.optional(z.array(z.looseObject(deviceFields))) })),
    }),
  ),
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

const isOurs = (path: string): boolean => path === mountRoot || path.startsWith(`${mountRoot}/`)

/** Host paths of our volumes with a file system, by the path that the pod mounts them at. */
export const ourVolumes = ({ mounts }: OciConfig): ReadonlyMap<string, string> =>
  new Map(mounts.filter(({ destination }) => isOurs(destination)).map((each) => [each.destination, each.source ?? '']))

/** Numbers of our block volumes, by the path that the pod has them at. */
export const ourDevices = ({ linux }: OciConfig): ReadonlyMap<string, DeviceNumbers> =>
  new Map(
    (linux?.devices ?? []).flatMap(({ path, type, major, minor }) =>
      isOurs(path) && type === 'b' && major !== undefined && minor !== undefined ? [[path, { major, minor }]] : [],
    ),
  )

type Linux = NonNullable<OciConfig['linux']>

interface Numbered {
  type?: string | undefined
  major?: number | undefined
  minor?: number | undefined
}

/**
 * Neither the nodes nor the permission of our devices, by whatever other paths
 * the container has them: who writes to a device beneath a mount writes into
 * it unseen.
 */
const withoutDevices = (linux: Linux, ours: readonly DeviceNumbers[]): Linux => {
  const isOther = ({ type, major, minor }: Numbered): boolean =>
    type !== 'b' || !ours.some((device) => device.major === major && device.minor === minor)
  const { devices, resources } = linux
  return {
    ...linux,
    ...(devices ? { devices: devices.filter(isOther) } : {}),
    ...(resources?.devices ? { resources: { ...resources, devices: resources.devices.filter(isOther) } } : {}),
  }
}

const bind = (source: string, destination: string) => ({
  destination,
  type: 'bind',
  source,
  options: ['bind', 'ro', 'nosuid', 'nodev', 'rprivate'],
})

/** None of our raw volumes, but what is bound from the host in their place. */
const exchangeVolumes = (config: OciConfig, bound: ReturnType<typeof bind>): OciConfig => {
  const devices = [...ourDevices(config).values()]
  return {
    ...config,
    mounts: [...config.mounts.filter(({ destination }) => !isOurs(destination)), bound],
    ...(config.linux && devices.length > 0 ? { linux: withoutDevices(config.linux, devices) } : {}),
  }
}

/** `main`: the real root, its user, none of the raw volumes, and the pause init. */
export const mainConfig = (
  config: OciConfig,
  { root, user, init }: { root: string; user: ProcessUser; init: string },
): OciConfig => ({
  ...exchangeVolumes(config, bind(init, initPath)),
  root: { ...config.root, path: root },
  process: { ...config.process, user: { ...config.process.user, ...user } },
})

/** `prepare`: the placeholder's root, none of the raw volumes, and the progress files. */
export const prepareConfig = (config: OciConfig, { progress }: { progress: string }): OciConfig =>
  exchangeVolumes(config, bind(progress, progressMountPath))
