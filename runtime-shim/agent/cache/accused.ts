import { join } from 'node:path'
import type { Pod } from '../../../kube/resources.ts'
import { imagePaths, type NodeLayout } from '../../node/layout.ts'
import { cacheRoot, digestOfDirectory } from './entry.ts'

/**
 * The image whose mount failed, by the words of the runtime, which name its file;
 * the kubelet repeats them in the container's status.
 */
export const accusedImage = (layout: Pick<NodeLayout, 'cacheDir'>, { status }: Pod): string | undefined => {
  const words = status?.containerStatuses?.map(({ state }) => state?.waiting?.message ?? '') ?? []
  const root = `${cacheRoot(layout)}/`
  for (const text of words) {
    const start = text.indexOf(root)
    const name = start < 0 ? '' : text.slice(start + root.length).split('/', 1)[0]
    const digest = digestOfDirectory(join(root, name ?? ''))
    if (digest !== undefined && text.includes(`${imagePaths(layout, digest).file}: `)) return digest
  }
  return undefined
}
