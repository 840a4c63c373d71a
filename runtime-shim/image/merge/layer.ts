import { ConversionError } from '../errors.ts'
import { cleanPath, componentsOf, isTooLong, longestPath, printableName } from '../names.ts'
import type { Metadata } from '../tar/entry.ts'
import {
  type Directory,
  emptyDirectory,
  type IndexedEntry,
  type Inode,
  type Leaf,
  type Node,
  nodeAt,
  resolvePath,
} from './tree.ts'

/**
 * One layer as containerd unpacks it for overlayfs: into a directory of its own,
 * where only the layer's own symbolic links are followed, to be laid over the
 * layers below. Where containerd fails or leaves the specification, this does not:
 * whiteouts hide lower layers wherever in the layer they stand, also at the root,
 * and a hard link may reach into a lower layer.
 * https://github.com/opencontainers/image-spec/blob/main/layer.md
 */

export interface LayerDirectory extends Directory {
  children: Map<string, LayerNode>
  /** Nothing that lower layers have in it shows. */
  opaque: boolean
  /** Names that lower layers have in it and that do not show. */
  whiteouts: Set<string>
}

type LayerNode = Leaf | LayerDirectory

const whiteoutPrefix = '.wh.'
const opaqueMarker = '.wh..wh..opq'

const layerDirectory = (metadata: IndexedEntry | undefined): LayerDirectory => ({
  kind: 'directory',
  metadata,
  children: new Map(),
  opaque: false,
  whiteouts: new Set(),
})

const failed = ({ layer, header }: IndexedEntry, problem: string): ConversionError =>
  new ConversionError(problem, { layer: layer + 1, entry: header.name })

/** What the name shows of the directory below, as far as the layer has said. */
const below = (directory: LayerDirectory, lower: Directory | undefined, name: string): Node | undefined =>
  directory.opaque || directory.whiteouts.has(name) ? undefined : lower?.children.get(name)

const asDirectory = (node: Node | undefined): Directory | undefined => (node?.kind === 'directory' ? node : undefined)

const sameMetadata = (a: Metadata, b: Metadata): boolean =>
  a.mode === b.mode &&
  a.uid === b.uid &&
  a.gid === b.gid &&
  a.mtime === b.mtime &&
  a.xattrs.size === b.xattrs.size &&
  [...a.xattrs].every(([name, value]) => b.xattrs.get(name) === value)

/** The directory at `path`, made on the way where the layer has had no entry of it. */
const ensureDirectory = (layer: LayerDirectory, path: readonly string[], entry: IndexedEntry): LayerDirectory => {
  let directory = layer
  for (const [depth, name] of path.entries()) {
    const child = directory.children.get(name) ?? layerDirectory(undefined)
    if (child.kind !== 'directory') {
      const parent = printableName(path.slice(0, depth + 1).join('/'))
      throw failed(entry, `it lies below "${parent}", which is not a directory in the same layer`)
    }
    directory.children.set(name, child)
    directory = child
  }
  return directory
}

const follow = (layer: LayerDirectory, path: readonly string[], entry: IndexedEntry): string[] => {
  const resolved = resolvePath(layer, path)
  if (!resolved) throw failed(entry, 'its path leads through symbolic links without end')
  return resolved
}

/** What shows at `path` of the layer so far and of the layers below it. */
const visibleAt = (layer: LayerDirectory, lowest: Directory, path: readonly string[]): Node | undefined => {
  let upper: LayerNode | undefined = layer
  let lower: Node | undefined = lowest
  for (const name of path) {
    const directory = asDirectory(lower)
    if (upper && upper.kind !== 'directory') return undefined
    lower = upper ? below(upper, directory, name) : directory?.children.get(name)
    upper = upper?.children.get(name)
  }
  return upper ?? lower
}

/** What chown(2), setxattr(2) and chmod(2) by a hard link's header make of its target: chown takes capabilities away. */
const relabelled = (before: Metadata, header: Metadata): Metadata => {
  const { mode, uid, gid, mtime } = header
  const kept = [...before.xattrs].filter(([name]) => name !== 'security.capability')
  const after = { mode, uid, gid, mtime, xattrs: new Map([...kept, ...header.xattrs]) }
  return sameMetadata(before, after) ? before : after
}

/** A target that only a lower layer has is linked too, although overlayfs would have to copy it up. */
const linkedInode = (layer: LayerDirectory, lowest: Directory, entry: IndexedEntry): Inode => {
  const path = componentsOf(entry.header.link)
  const target = [...follow(layer, path.slice(0, -1), entry), ...path.slice(-1)]
  const node = visibleAt(layer, lowest, target)
  const link = printableName(cleanPath(entry.header.link))
  if (!node) throw failed(entry, `it is a hard link to "${link}", which is not there`)
  if (node.kind === 'directory') throw failed(entry, `it is a hard link to "${link}", which is a directory`)
  node.inode.metadata = relabelled(node.inode.metadata, entry.header)
  return node.inode
}

const isWhiteoutDevice = ({ type, major, minor }: IndexedEntry['header']): boolean =>
  type === 'character' && major === 0 && minor === 0

const assertNames = (entry: IndexedEntry): void => {
  const { type, link } = entry.header
  if (isTooLong(entry.path)) throw failed(entry, 'its name is longer than Linux allows')
  if (type !== 'symlink') return
  if (link === '') throw failed(entry, 'it is a symbolic link to nothing')
  if (link.length > longestPath) throw failed(entry, 'its target is longer than Linux allows')
}

const applyEntry = (layer: LayerDirectory, lowest: Directory, entry: IndexedEntry): void => {
  assertNames(entry)
  const components = componentsOf(entry.path)
  const name = components.at(-1)
  // Entries of the root itself are passed over by containerd too.
  if (name === undefined) return
  const parentPath = follow(layer, components.slice(0, -1), entry)
  const parent = ensureDirectory(layer, parentPath, entry)

  if (name === opaqueMarker) {
    parent.opaque = true
    return
  }
  if (name.startsWith(whiteoutPrefix)) {
    const hidden = name.slice(whiteoutPrefix.length)
    if (['', '.', '..'].includes(hidden)) throw failed(entry, 'it is a whiteout of nothing')
    parent.whiteouts.add(hidden)
    return
  }
  if (isWhiteoutDevice(entry.header)) {
    parent.children.delete(name)
    parent.whiteouts.add(name)
    return
  }
  const existing = parent.children.get(name)
  if (entry.header.type === 'directory') {
    if (existing?.kind === 'directory') existing.metadata = entry
    else parent.children.set(name, layerDirectory(entry))
    return
  }
  parent.children.delete(name)
  const inode =
    entry.header.type === 'hardlink' ? linkedInode(layer, lowest, entry) : { content: entry, metadata: entry.header }
  parent.children.set(name, { kind: 'leaf', inode, entry })
}

/**
 * @param lowest what the layers below have come to
 * @throws ConversionError where containerd would refuse the layer
 */
export const readLayer = (lowest: Directory, entries: readonly IndexedEntry[]): LayerDirectory => {
  const layer = layerDirectory(undefined)
  for (const entry of entries) applyEntry(layer, lowest, entry)
  return layer
}

/** A directory that a layer has no entry of takes after what it covers: a directory, or one that a link leads to. */
const impliedMetadata = (root: Directory, path: readonly string[], covered: Node | undefined) => {
  if (covered?.kind !== 'leaf') return covered?.metadata
  const target = resolvePath(root, path)
  return target && asDirectory(nodeAt(root, target))?.metadata
}

const layDirectory = (root: Directory, path: readonly string[], lower: Directory, layer: LayerDirectory): void => {
  if (layer.opaque) lower.children.clear()
  for (const name of layer.whiteouts) lower.children.delete(name)
  for (const [name, node] of layer.children) {
    if (node.kind === 'leaf') {
      lower.children.set(name, node)
      continue
    }
    const covered = lower.children.get(name)
    const directory = asDirectory(covered) ?? emptyDirectory()
    directory.metadata = node.metadata ?? impliedMetadata(root, [...path, name], covered)
    lower.children.set(name, directory)
    layDirectory(root, [...path, name], directory, node)
  }
}

/** Lays the layer over `lower`, which becomes both. */
export const layOver = (lower: Directory, layer: LayerDirectory): void => layDirectory(lower, [], lower, layer)
