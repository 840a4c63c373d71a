import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { contentsPath } from './check.ts'
import { attributeText, linkAttribute, markdown, type Page } from './page.ts'
import { destinationOf, entryAt, type Tree } from './tree.ts'

/** The site mirrors the repository, as far as its pages lead: their relative links stay what they are but for the ending. */

const picture = /\.(svg|png)$/

const { escapeHtml } = markdown.utils

/** Where a path of the repository lies in the site. */
const addressOf = (tree: Tree, path: string): string => {
  const entry = entryAt(tree, path)
  if (entry?.kind === 'page') return entry.page.path.replace(/README\.md$/, 'index.md').replace(/\.md$/, '.html')
  if (entry?.kind === 'folder') return posix.join(path, 'index.html')
  return picture.test(path) ? path : `${path}.html`
}

const relativeTo = (address: string, other: string): string => posix.relative(posix.dirname(address), other)

interface Section {
  heading: string
  entries: { title: string; address: string }[]
}

/** The page of contents, as what stands beside every page. */
const sectionsOf = (tree: Tree): Section[] => {
  const contents = tree.pages.get(contentsPath)
  if (!contents) return []
  const sections: Section[] = []
  for (const [index, token] of contents.tokens.entries()) {
    const next = contents.tokens[index + 1]
    if (token.type === 'heading_open' && token.tag === 'h2')
      sections.push({ heading: next?.content ?? '', entries: [] })
    for (const [at, child] of (token.children ?? []).entries()) {
      const title = token.children?.[at + 1]?.content ?? ''
      const destination = child.type === 'link_open' && destinationOf(contents, attributeText(child, 'href'))
      if (destination && destination.kind === 'internal')
        sections.at(-1)?.entries.push({ title, address: addressOf(tree, destination.path) })
    }
  }
  return sections
}

const navigation = (sections: readonly Section[], address: string): string =>
  sections
    .map(({ heading, entries }) => {
      const items = entries.map((entry) => {
        const here = entry.address === address ? ' aria-current="page"' : ''
        return `<li><a href="${escapeHtml(relativeTo(address, entry.address))}"${here}>${escapeHtml(entry.title)}</a></li>`
      })
      return `<h2>${escapeHtml(heading)}</h2>\n<ul>\n${items.join('\n')}\n</ul>`
    })
    .join('\n')

/** Its tokens are changed: links lead to where things lie in the site. */
const htmlOf = (tree: Tree, page: Page): string => {
  const address = addressOf(tree, page.path)
  for (const token of page.tokens.flatMap((each) => [each, ...(each.children ?? [])])) {
    const attribute = linkAttribute(token)
    if (!attribute) continue
    const destination = destinationOf(page, attributeText(token, attribute))
    if (destination.kind === 'external') continue
    const { path, anchor } = destination
    const there = relativeTo(address, addressOf(tree, path))
    token.attrSet(attribute, `${encodeURI(there)}${anchor === undefined ? '' : `#${anchor}`}`)
  }
  return markdown.renderer.render(page.tokens, markdown.options, {})
}

const documentOf = (address: string, title: string, sections: readonly Section[], body: string): string =>
  `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<link rel="stylesheet" href="${relativeTo(address, 'style.css')}">
</head>
<body>
<nav aria-label="Contents">
<a class="home" href="${relativeTo(address, 'index.html')}">Lamina</a>
${navigation(sections, address)}
</nav>
<main>
${body}</main>
</body>
</html>
`

/** Files and folders of the repository that pages lead to, with all that is in the folders. */
const linkedSources = (tree: Tree): Set<string> => {
  const sources = new Set<string>()
  for (const page of tree.pages.values()) {
    for (const { target } of page.links) {
      const destination = destinationOf(page, target)
      if (destination.kind === 'external') continue
      const entry = entryAt(tree, destination.path)
      if (!entry || entry.kind === 'page') continue
      sources.add(destination.path)
      if (entry.kind === 'folder') for (const file of entry.files) sources.add(file)
    }
  }
  return sources
}

const sourceBody = (tree: Tree, path: string): string => {
  const entry = entryAt(tree, path)
  const heading = `<h1><code>${escapeHtml(path)}</code></h1>\n`
  if (entry?.kind !== 'folder')
    return `${heading}<pre><code>${escapeHtml(readFileSync(join(tree.root, path), 'utf8'))}</code></pre>\n`
  const items = entry.files.map((file) => {
    const href = relativeTo(addressOf(tree, path), addressOf(tree, file))
    return `<li><a href="${encodeURI(href)}">${escapeHtml(posix.relative(path, file))}</a></li>`
  })
  return `${heading}<ul>\n${items.join('\n')}\n</ul>\n`
}

/** Writes the site to `dir`, anew. @returns how many pages it has */
export const writeSite = (tree: Tree, dir: string): number => {
  rmSync(dir, { recursive: true, force: true })
  const place = (address: string): string => {
    const path = join(dir, address)
    mkdirSync(dirname(path), { recursive: true })
    return path
  }
  const sections = sectionsOf(tree)
  copyFileSync(join(import.meta.dirname, 'style.css'), place('style.css'))
  for (const path of linkedSources(tree)) {
    const address = addressOf(tree, path)
    if (picture.test(path)) copyFileSync(join(tree.root, path), place(address))
    else writeFileSync(place(address), documentOf(address, path, sections, sourceBody(tree, path)))
  }
  for (const page of tree.pages.values()) {
    const address = addressOf(tree, page.path)
    writeFileSync(place(address), documentOf(address, page.title, sections, htmlOf(tree, page)))
  }
  return tree.pages.size
}
