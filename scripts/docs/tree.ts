import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join, posix } from 'node:path'
import { type Page, parsePage } from './page.ts'

/** The pages of the documentation, and the rest of the repository that they lead to. */
export interface Tree {
  root: string
  /** By path. */
  pages: ReadonlyMap<string, Page>
}

const filesBelow = (root: string, folder: string): string[] =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8', withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => posix.join(posix.relative(root, entry.parentPath), entry.name))
    .sort()

export const readTree = (root: string): Tree => {
  const paths = ['README.md', ...filesBelow(root, 'docs').filter((path) => path.endsWith('.md'))]
  return {
    root,
    pages: new Map(paths.map((path) => [path, parsePage(path, readFileSync(join(root, path), 'utf8'))])),
  }
}

/** Where a link leads. `path` is from the root of the repository; `..` before it leads out. */
export type Destination =
  | { kind: 'external'; url: string }
  | { kind: 'internal'; path: string; anchor: string | undefined }

export const destinationOf = (from: Page, target: string): Destination => {
  if (/^[a-z][a-z0-9+.-]*:/i.test(target)) return { kind: 'external', url: target }
  const [path = '', anchor] = target.split('#')
  return {
    kind: 'internal',
    path: path === '' ? from.path : posix.join(posix.dirname(from.path), decodeURI(path)).replace(/\/$/, ''),
    anchor,
  }
}

export type Entry = { kind: 'page'; page: Page } | { kind: 'folder'; files: string[] } | { kind: 'file' }

/** What lies there. A folder with a page README.md is that page, as on GitHub. */
export const entryAt = ({ root, pages }: Tree, path: string): Entry | undefined => {
  const page = pages.get(path) ?? pages.get(posix.join(path, 'README.md'))
  if (page) return { kind: 'page', page }
  if (path.startsWith('..') || !existsSync(join(root, path))) return undefined
  return statSync(join(root, path)).isDirectory() ? { kind: 'folder', files: filesBelow(root, path) } : { kind: 'file' }
}
