import { destinationOf, entryAt, type Tree } from './tree.ts'

/** Every other page is to be found from here, or from the decisions' own list. */
export const contentsPath = 'docs/README.md'
const listsOfPages = [contentsPath, 'docs/decisions/README.md']

export interface LinkReport {
  /** Why a link leads nowhere, or a page is led to from nowhere; one line each. */
  troubles: string[]
  /** Addresses of other places, each once. Nobody looks whether they answer. */
  external: string[]
}

const troubleOf = (tree: Tree, path: string, anchor: string | undefined): string | undefined => {
  const entry = entryAt(tree, path)
  if (!entry) return `there is no ${path}`
  if (anchor === undefined) return undefined
  if (entry.kind !== 'page') return `${path} is no page, and has no place "#${anchor}"`
  return entry.page.anchors.has(anchor) ? undefined : `${entry.page.path} has no heading "#${anchor}"`
}

export const checkLinks = (tree: Tree): LinkReport => {
  const troubles: string[] = []
  const external = new Set<string>()
  const listed = new Set(['README.md', ...listsOfPages])
  for (const page of tree.pages.values()) {
    for (const { target, line } of page.links) {
      const destination = destinationOf(page, target)
      if (destination.kind === 'external') {
        external.add(destination.url)
        continue
      }
      const trouble = troubleOf(tree, destination.path, destination.anchor)
      if (trouble) troubles.push(`${page.path}:${line}: link to ${target}: ${trouble}`)
      if (listsOfPages.includes(page.path)) listed.add(destination.path)
    }
  }
  for (const path of tree.pages.keys())
    if (!listed.has(path)) troubles.push(`${path}: neither ${listsOfPages.join(' nor ')} leads there`)
  return { troubles, external: [...external].sort() }
}
