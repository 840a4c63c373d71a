import type { V1Container, V1Volume } from '@kubernetes/client-node'
import { containers, volumePrefix } from '../../../kube/names.ts'
import type { Pod } from '../../../kube/resources.ts'

/** How a pod has the volumes that the runtime mounts. */

export const volumeOf = ({ spec }: Pod, name: string): V1Volume | undefined =>
  spec?.volumes?.find((volume) => volume.name === name)

const mainOf = ({ spec }: Pod): V1Container | undefined => spec?.containers.find(({ name }) => name === containers.main)

/** Whether `main` has the whole volume there, as a file system, and nowhere else. */
export const mountsOnly = (
  pod: Pod,
  volume: string,
  mountPath: string,
  { readOnly = false }: { readOnly?: boolean } = {},
): boolean => {
  const { volumeMounts = [], volumeDevices = [] } = mainOf(pod) ?? {}
  const [mount, ...more] = volumeMounts.filter(({ name }) => name === volume)
  return (
    mount?.mountPath === mountPath &&
    more.length === 0 &&
    !volumeDevices.some(({ name }) => name === volume) &&
    !mount.subPath &&
    !mount.subPathExpr &&
    (!readOnly || mount.readOnly === true)
  )
}

/** Whether `main` has the volume there, as a block device, and nowhere else. */
export const hasDeviceOnly = (pod: Pod, volume: string, devicePath: string): boolean => {
  const { volumeMounts = [], volumeDevices = [] } = mainOf(pod) ?? {}
  const [device, ...more] = volumeDevices.filter(({ name }) => name === volume)
  return device?.devicePath === devicePath && more.length === 0 && !volumeMounts.some(({ name }) => name === volume)
}

/**
 * A container that has one of our volumes and must not: they are for `main` and
 * `prepare`, from which the runtime takes them. Who writes to one owns the mount
 * above it.
 */
export const strangerToVolumes = ({ spec }: Pod): string | undefined =>
  [...(spec?.containers ?? []), ...(spec?.initContainers ?? []), ...(spec?.ephemeralContainers ?? [])]
    .filter(({ name }) => name !== containers.main && name !== containers.prepare)
    .find(({ volumeMounts = [], volumeDevices = [] }) =>
      [...volumeMounts, ...volumeDevices].some(({ name }) => name.startsWith(volumePrefix)),
    )?.name
