import type { EntryHeader, Metadata } from '../tar/entry.ts'

/** An entry of one of the image's layers, remembered; the object itself is its identity. */
export interface IndexedEntry {
  /** From 0, the lowest. */
  layer: number
  header: EntryHeader
  /** The header's name, cleaned (`../names.ts`). */
  path: string
}

/** A file under one or more names. */
export interface Inode {
  content: IndexedEntry
  /** The content's own header, unless the header of a hard link to it has said something else since. */
  metadata: Metadata
}

export interface Leaf {
  kind: 'leaf'
  inode: Inode
  /** The entry that made this name: the inode's content, or a hard link to it. */
  entry: IndexedEntry
}

export interface Directory {
  kind: 'directory'
  /** Undefined for one that is there only because something lies in it. */
  metadata: IndexedEntry | undefined
  children: Map<string, Node>
}

export type Node = Leaf | Directory

export const emptyDirectory = (): Directory => ({ kind: 'directory', metadata: undefined, children: new Map() })

/** Linux' limit is 40, containerd's 255. */
const mostLinks = 255

const symlinkTarget = (node: Node | undefined): string | undefined =>
  node?.kind === 'leaf' && node.inode.content.header.type === 'symlink' ? node.inode.content.header.link : undefined

/**
 * Where a path leads when the symbolic links of the tree are followed and `..`
 * stops at the root. What is not there is taken by the letter.
 * Undefined when the links go round in circles.
 */
export const resolvePath = (root: Directory, path: readonly string[]): string[] | undefined => {
  const resolved: string[] = []
  const parents: (Directory | undefined)[] = [root]
  const ahead = path.toReversed()
  let links = 0
  for (let name = ahead.pop(); name !== undefined; name = ahead.pop()) {
    if (name === '..') {
      resolved.pop()
      if (parents.length > 1) parents.pop()
      continue
    }
    const node = parents.at(-1)?.children.get(name)
    const target = symlinkTarget(node)
    if (target === undefined) {
      resolved.push(name)
      parents.push(node?.kind === 'directory' ? node : undefined)
      continue
    }
    links += 1
    if (links > mostLinks) return undefined
    if (target.startsWith('/')) {
      resolved.length = 0
      parents.length = 1
    }
    const steps = target.split('/').filter((step) => step !== '' && step !== '.')
    ahead.push(...steps.reverse())
  }
  return resolved
}

export const nodeAt = (root: Directory, path: readonly string[]): Node | undefined => {
  let node: Node | undefined = root
  for (const name of path) node = node?.kind === 'directory' ? node.children.get(name) : undefined
  return node
}
