import { cleanPath } from '../names.ts'
import type { IndexedEntry } from './tree.ts'

/**
 * A guess, made while the layers stream by from the highest down, at whether an
 * entry will be in the flattened file system just as it is. For nearly every
 * image all guesses come true, and one pass over the layers is enough; the plan
 * (`./plan.ts`), which needs all headers first, is the judge.
 */
export interface Speculation {
  /** To be asked of every entry of a layer in order. */
  shows(entry: IndexedEntry): boolean
  /** The layer has ended, and the next lower one begins. */
  endLayer(): void
}

const marker = '.wh.'
const opaqueMarker = '.wh..wh..opq'

export const createSpeculation = (): Speculation => {
  /** Paths that have been shown. */
  const taken = new Set<string>()
  /** Paths below which nothing of lower layers shows, and those that the layer under way will add. */
  const closed = new Set<string>()
  let closing: string[] = []
  const whiteouts = new Set<string>()
  let hiding: string[] = []

  const isHidden = (path: string): boolean => {
    if (taken.has(path) || whiteouts.has(path)) return true
    for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1)) {
      const parent = path.slice(0, end)
      if (closed.has(parent) || whiteouts.has(parent)) return true
    }
    return closed.has('')
  }

  const shows = ({ path, header }: IndexedEntry): boolean => {
    if (path === '') return false
    const name = path.slice(path.lastIndexOf('/') + 1)
    const parent = path.slice(0, Math.max(path.length - name.length - 1, 0))
    if (name === opaqueMarker) {
      closing.push(parent)
      return false
    }
    if (name.startsWith(marker)) {
      hiding.push(cleanPath(`${parent}/${name.slice(marker.length)}`))
      return false
    }
    if (isHidden(path)) return false
    taken.add(path)
    if (header.type !== 'directory') closing.push(path)
    return true
  }

  const endLayer = (): void => {
    for (const path of closing) closed.add(path)
    for (const path of hiding) whiteouts.add(path)
    closing = []
    hiding = []
  }

  return { shows, endLayer }
}
