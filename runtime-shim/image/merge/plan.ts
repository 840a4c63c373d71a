import { cleanPath } from '../names.ts'
import type { Metadata } from '../tar/entry.ts'
import { layOver, readLayer } from './layer.ts'
import { type Directory, emptyDirectory, type IndexedEntry, type Inode, type Leaf } from './tree.ts'

/** How an entry of a layer goes into the flattened file system. */
export interface Emission {
  path: string
  /** Set: as a hard link to this path. */
  linkTo?: string | undefined
  /** Most often the entry's own. */
  metadata: Metadata
}

/** Every entry that goes in, with what it goes in as; a directory may go in more than once. */
export type Plan = ReadonlyMap<IndexedEntry, readonly Emission[]>

interface Name {
  path: string
  leaf: Leaf
}

const collect = (
  directory: Directory,
  prefix: string,
  found: { directory(path: string, metadata: IndexedEntry): void; leaf(name: Name): void },
): void => {
  for (const [name, node] of directory.children) {
    const path = `${prefix}${name}`
    if (node.kind === 'leaf') {
      found.leaf({ path, leaf: node })
      continue
    }
    if (node.metadata) found.directory(path, node.metadata)
    collect(node, `${path}/`, found)
  }
}

/** One of the names gets the content, its entry's own one if it shows; the others are links to that. */
const emissionsOf = (inode: Inode, names: readonly Name[]): [IndexedEntry, Emission][] => {
  const own = names.find(({ path }) => path === inode.content.path) ?? names[0]
  return names.map((name) =>
    name === own
      ? [inode.content, { path: name.path, metadata: inode.metadata }]
      : [name.leaf.entry, { path: name.path, linkTo: own?.path, metadata: name.leaf.entry.header }],
  )
}

/** The image's layers, from the lowest, as one tree. */
const flatten = (layers: readonly (readonly IndexedEntry[])[]): Directory => {
  const root = emptyDirectory()
  for (const entries of layers) layOver(root, readLayer(root, entries))
  return root
}

/**
 * Decides from all layers' headers what goes into the flattened file system.
 * The lowest layer comes first.
 *
 * @throws ConversionError
 */
export const planFlattening = (layers: readonly (readonly IndexedEntry[])[]): Plan => {
  const plan = new Map<IndexedEntry, Emission[]>()
  const add = (entry: IndexedEntry, emission: Emission): void => {
    const emissions = plan.get(entry)
    if (emissions) emissions.push(emission)
    else plan.set(entry, [emission])
  }
  const inodes = new Map<Inode, Name[]>()
  collect(flatten(layers), '', {
    directory: (path, metadata) => add(metadata, { path, metadata: metadata.header }),
    leaf: (name) => {
      const names = inodes.get(name.leaf.inode)
      if (names) names.push(name)
      else inodes.set(name.leaf.inode, [name])
    },
  })
  for (const [inode, names] of inodes) {
    for (const [entry, emission] of emissionsOf(inode, names)) add(entry, emission)
  }
  return plan
}

/** Whether the entry goes in just as its layer has it. */
export const isAsRead = (entry: IndexedEntry, { path, linkTo, metadata }: Emission): boolean =>
  path === entry.path && metadata === entry.header && (linkTo === undefined || linkTo === cleanPath(entry.header.link))
