import { rmdirSync, rmSync } from 'node:fs'
import { hasCode } from '../mount/error-code.ts'
import { attachedFiles, isAttached } from '../mount/loop.ts'
import { containerPaths, type NodeLayout, rootPath } from './layout.ts'
import type { RecordedOverlay } from './ticket.ts'

/** Whether what `create` recorded is still mounted. Reads sysfs only. */
export const isMounted = ({ loop, path }: Pick<RecordedOverlay, 'loop' | 'path'>): boolean =>
  loop === null ? attachedFiles().some((file) => file.path === path) : isAttached(loop)

/** Removes a container's own records and the empty directory that its root was mounted over. */
export const forgetContainer = (layout: NodeLayout, containerID: string): void => {
  rmSync(containerPaths(layout, containerID).dir, { recursive: true, force: true })
  try {
    rmdirSync(rootPath(layout, containerID))
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error
  }
}
