import { existsSync, readdirSync, readlinkSync, rmdirSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { hasCode } from '../mount/error-code.ts'
import { attachedFiles, isAttached } from '../mount/loop.ts'
import type { DeviceNumbers } from '../mount/parts.ts'
import { isDeviceMounted } from './block-device.ts'
import { readJson } from './json-file.ts'
import { containerPaths, type NodeLayout, podPaths, rootPath } from './layout.ts'
import { killOrphans } from './orphans.ts'
import { mountRecordSchema, type RecordedOverlay } from './ticket.ts'

/**
 * Whether what `create` recorded is still mounted. Of loop devices it reads
 * sysfs only: an open descriptor would delay their end.
 */
export const isMounted = ({ loop, path, device }: Pick<RecordedOverlay, 'loop' | 'path' | 'device'>): boolean => {
  if (device) return isDeviceMounted({ path, device })
  return loop === null ? attachedFiles().some((file) => file.path === path) : isAttached(loop)
}

const isSameDevice =
  (one: DeviceNumbers) =>
  ({ major, minor }: DeviceNumbers): boolean =>
    one.major === major && one.minor === minor

/** The pod of a container that mounted something: its record lies in the pod's directory. Undefined for others. */
export const podOf = (layout: NodeLayout, containerID: string): string | undefined => {
  try {
    return basename(dirname(dirname(readlinkSync(containerPaths(layout, containerID).mount))))
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
}

/**
 * Removes the empty directory that a container's root was mounted over, and the
 * container's own records last: whoever is killed before leaves them, and is
 * followed by another `delete`.
 */
export const forgetContainer = (layout: NodeLayout, containerID: string): void => {
  try {
    rmdirSync(rootPath(layout, containerID))
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error
  }
  rmSync(containerPaths(layout, containerID).dir, { recursive: true, force: true })
}

/**
 * Ends containers of the pod that still have something mounted although the
 * kubelet believes them to have ended: it starts one only after the other's end.
 *
 * @param mountedDevices where the block volumes were asked before: those that are mounted
 */
export const endPredecessors = (
  layout: NodeLayout,
  podUID: string,
  mountedDevices?: readonly DeviceNumbers[],
): void => {
  const { mounts } = podPaths(layout, podUID)
  if (!existsSync(mounts)) return
  const isHeld = (overlay: RecordedOverlay): boolean =>
    overlay.device && mountedDevices ? mountedDevices.some(isSameDevice(overlay.device)) : isMounted(overlay)
  for (const name of readdirSync(mounts).filter((each) => each.endsWith('.json'))) {
    const record = readJson(join(mounts, name), mountRecordSchema)
    if (record?.overlays.some(isHeld)) killOrphans(record.containerID)
  }
}

/**
 * Removes what is left of a pod's containers that have nothing mounted any more:
 * of those that failed to start no `delete` tells, and each retry is another one.
 * For the pod's next `create`, before it writes its own record.
 */
export const forgetUnmounted = (layout: NodeLayout, podUID: string): void => {
  const { mounts } = podPaths(layout, podUID)
  for (const name of readdirSync(mounts)) {
    // Half a record, of one that was killed as it wrote it.
    if (name.endsWith('.new')) rmSync(join(mounts, name), { force: true })
    const record = name.endsWith('.json') ? readJson(join(mounts, name), mountRecordSchema) : undefined
    if (!record || record.overlays.some(isMounted)) continue
    forgetContainer(layout, record.containerID)
    rmSync(join(mounts, name), { force: true })
  }
}
