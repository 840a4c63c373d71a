import Slugger from 'github-slugger'
import MarkdownIt, { type Token } from 'markdown-it'

/** Pages of plain Markdown, as GitHub shows them. */

export interface Link {
  target: string
  line: number
}

/** A block between fences. */
export interface Fence {
  /** What stands behind the opening fence. */
  info: string
  text: string
  line: number
}

export interface Page {
  /** From the root of the repository. */
  path: string
  title: string
  tokens: Token[]
  /** Of links and pictures. */
  links: Link[]
  /** What can stand behind `#` in a link to it. */
  anchors: ReadonlySet<string>
  fences: Fence[]
}

export const markdown = new MarkdownIt({ html: true })

const plainText = ({ children, content }: Token): string =>
  children === null
    ? content
    : children
        .filter(({ type }) => type === 'text' || type === 'code_inline')
        .map((child) => child.content)
        .join('')

markdown.core.ruler.push('heading ids', ({ tokens }) => {
  const slugger = new Slugger()
  for (const [index, token] of tokens.entries()) {
    const inline = tokens[index + 1]
    if (token.type === 'heading_open' && inline) token.attrSet('id', slugger.slug(plainText(inline)))
  }
})

const attributesIn = (html: string, name: string): string[] =>
  [...html.matchAll(new RegExp(`\\s${name}="([^"]*)"`, 'g'))].map(([, value = '']) => value)

const isHtml = ({ type }: Token): boolean => type === 'html_block' || type === 'html_inline'

/** The attribute of a token that leads elsewhere. */
export const linkAttribute = ({ type }: Token): 'href' | 'src' | undefined =>
  type === 'link_open' ? 'href' : type === 'image' ? 'src' : undefined

export const attributeText = (token: Token, name: string): string => String(token.attrGet(name) ?? '')

const targetsOf = (token: Token): string[] => {
  const attribute = linkAttribute(token)
  if (attribute) return [attributeText(token, attribute)]
  return isHtml(token) ? [...attributesIn(token.content, 'href'), ...attributesIn(token.content, 'src')] : []
}

const withChildren = (token: Token): Token[] => [token, ...(token.children ?? [])]

/** @param path from the root of the repository */
export const parsePage = (path: string, text: string): Page => {
  const tokens = markdown.parse(text, {})
  const all = tokens.flatMap(withChildren)
  // Cells of a table have no place of their own, but their row.
  const lines: number[] = []
  for (const { map } of tokens) lines.push(map ? map[0] + 1 : (lines.at(-1) ?? 1))
  const heading = tokens.findIndex(({ type, tag }) => type === 'heading_open' && tag === 'h1')
  const title = tokens[heading + 1]
  return {
    path,
    tokens,
    title: heading === -1 || !title ? path : plainText(title),
    links: tokens.flatMap((token, index) =>
      withChildren(token)
        .flatMap(targetsOf)
        .map((target) => ({ target, line: lines[index] ?? 1 })),
    ),
    anchors: new Set([
      ...all.flatMap((token) => (token.type === 'heading_open' ? [attributeText(token, 'id')] : [])),
      ...all.filter(isHtml).flatMap(({ content }) => attributesIn(content, 'id')),
    ]),
    fences: tokens
      .filter(({ type }) => type === 'fence')
      .map(({ info, content, map }) => ({ info: info.trim(), text: content, line: (map?.[0] ?? 0) + 1 })),
  }
}
