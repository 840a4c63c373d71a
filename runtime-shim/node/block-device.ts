import { closeSync, readFileSync } from 'node:fs'
import { isClaimed, openDevice } from '../mount/device.ts'
import { hasCode } from '../mount/error-code.ts'
import { type DeviceNumbers, OverlayError } from '../mount/parts.ts'

/** Block volumes, told by their numbers: names in /dev come and go. */

/** Opens the device for reading if the path leads to it; undefined when it leads to another, or nowhere. */
export const openIfDevice = (path: string, device: DeviceNumbers): number | undefined => {
  try {
    return openDevice(path, device, 'read').fd
  } catch (error) {
    if (error instanceof OverlayError || hasCode(error, 'ENOENT', 'ENOTDIR', 'ENXIO', 'ENODEV')) return undefined
    throw error
  }
}

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

/**
 * Whether anyone on the node has the device mounted: then the kernel refuses it
 * to who wants it alone. For one that is there and cannot be asked: yes.
 *
 * @param path where the device was when it was mounted
 */
export const isDeviceMounted = ({ path, device }: { path: string; device: DeviceNumbers }): boolean => {
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
