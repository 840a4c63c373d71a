import { closeSync, existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { basename, join } from 'node:path'
import { isClaimed, openDevice } from '../mount/device.ts'
import { hasCode } from '../mount/error-code.ts'
import { type DeviceNumbers, OverlayError } from '../mount/parts.ts'

/** Block volumes, told by their numbers: names in /dev come and go. */

/** Opens the device for reading if the path leads to it; undefined when it leads to another, or nowhere. */
const openIfDevice = (path: string, device: DeviceNumbers): number | undefined => {
  try {
    return openDevice(path, device, 'read').fd
  } catch (error) {
    if (error instanceof OverlayError || hasCode(error, 'ENOENT', 'ENOTDIR', 'ENXIO', 'ENODEV')) return undefined
    throw error
  }
}

const leadsTo = (path: string, device: DeviceNumbers): boolean => {
  const fd = openIfDevice(path, device)
  if (fd !== undefined) closeSync(fd)
  return fd !== undefined
}

const entriesOf = (dir: string): string[] => {
  try {
    return readdirSync(dir).map((name) => join(dir, name))
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return []
    throw error
  }
}

/** Where the kubelet lays the block volumes of a pod down, by plugin and name: links to the devices, or their nodes. */
export const mapDirOf = (kubeletPodDir: string): string => join(kubeletPodDir, 'volumeDevices')

/** The kubelet's path of the device, which shows that it is a volume of that very pod; undefined when it is not. */
export const findMapPath = (kubeletPodDir: string, device: DeviceNumbers): string | undefined =>
  entriesOf(mapDirOf(kubeletPodDir))
    .flatMap(entriesOf)
    .find((path) => leadsTo(path, device))

/** The kernel's own node in /dev; undefined when the machine has no such device any more. */
const kernelName = ({ major, minor }: DeviceNumbers): string | undefined => {
  try {
    const name = /^DEVNAME=(.+)$/m.exec(readFileSync(`/sys/dev/block/${major}:${minor}/uevent`, 'utf8'))?.[1]
    return name === undefined ? undefined : `/dev/${name}`
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
}

/** A block volume of a pod. */
export interface BlockVolume {
  /** Where the device was when it was mounted. */
  path: string
  device: DeviceNumbers
}

/** Whether the kernel has an ext4 file system on the device. Asks sysfs, and not the device, which may not answer. */
export const hasExt4 = ({ major, minor }: DeviceNumbers): boolean => {
  try {
    return existsSync(join('/sys/fs/ext4', basename(readlinkSync(`/sys/dev/block/${major}:${minor}`))))
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false
    throw error
  }
}

/**
 * Whether anyone on the node has the device mounted: then the kernel refuses it
 * to who wants it alone. For one that is there and cannot be asked: yes. A dead network volume
 * does not answer at all.
 */
export const isDeviceMounted = ({ path, device }: BlockVolume): boolean => {
  const ownName = kernelName(device)
  if (ownName === undefined) return false
  const fd = openIfDevice(path, device) ?? openIfDevice(ownName, device)
  if (fd === undefined) return true
  try {
    return isClaimed(fd)
  } finally {
    closeSync(fd)
  }
}
