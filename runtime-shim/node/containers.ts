import { readdirSync, readlinkSync, rmdirSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { hasCode } from '../mount/error-code.ts'
import { attachedFiles, isAttached } from '../mount/loop.ts'
import { readJson } from './json-file.ts'
import { containerPaths, type NodeLayout, podPaths, rootPath } from './layout.ts'
import { mountRecordSchema, type RecordedOverlay } from './ticket.ts'

/** Whether what `create` recorded is still mounted. Reads sysfs only. */
export const isMounted = ({ loop, path }: Pick<RecordedOverlay, 'loop' | 'path'>): boolean =>
  loop === null ? attachedFiles().some((file) => file.path === path) : isAttached(loop)

/** The pod of a container that mounted something: its record lies in the pod's directory. Undefined for others. */
export const podOf = (layout: NodeLayout, containerID: string): string | undefined => {
  try {
    return basename(dirname(dirname(readlinkSync(containerPaths(layout, containerID).mount))))
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
}

/** Removes a container's own records and the empty directory that its root was mounted over. */
export const forgetContainer = (layout: NodeLayout, containerID: string): void => {
  rmSync(containerPaths(layout, containerID).dir, { recursive: true, force: true })
  try {
    rmdirSync(rootPath(layout, containerID))
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error
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
    const record = name.endsWith('.json') ? readJson(join(mounts, name), mountRecordSchema) : undefined
    if (!record || record.overlays.some(isMounted)) continue
    rmSync(join(mounts, name), { force: true })
    forgetContainer(layout, record.containerID)
  }
}
