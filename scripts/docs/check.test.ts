import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { checkLinks } from './check.ts'
import { readTree } from './tree.ts'

describe('the documentation', () => {
  const { troubles, external } = checkLinks(readTree(join(import.meta.dirname, '../..')))

  test('has no link that leads nowhere, and no page that nothing leads to', () => {
    expect(troubles).toEqual([])
  })

  test('leads to other places by https alone', () => {
    expect(external.filter((url) => !url.startsWith('https://'))).toEqual([])
  })
})

describe('of links', () => {
  let root = ''
  afterEach(() => rmSync(root, { recursive: true }))

  /** @param files by path; README.md and the contents are there already */
  const troublesIn = (files: Record<string, string>): string[] => {
    root = mkdtempSync(join(tmpdir(), 'lamina-docs-'))
    const all = { 'README.md': '# Here\n', 'docs/README.md': '# Contents\n', ...files }
    for (const [path, text] of Object.entries(all)) {
      mkdirSync(dirname(join(root, path)), { recursive: true })
      writeFileSync(join(root, path), text)
    }
    return checkLinks(readTree(root)).troubles
  }

  test('to pages, headings, folders and other files all is well', () => {
    const links = '[page](docs/) [place](docs/README.md#the-end-of-a-thing) [folder](examples) [file](examples/a.yaml)'
    const files = { 'docs/README.md': '# Contents\n## The `end` of a thing!\n', 'examples/a.yaml': 'a: 1\n' }
    expect(troublesIn({ ...files, 'README.md': links })).toEqual([])
  })

  test.each([
    ['a file that is not there', '[x](docs/none.md)', 'there is no docs/none.md'],
    ['a heading that is not there', '# A\n\n[x](#b)', 'README.md has no heading "#b"'],
    ['a heading of a file without any', '[x](docs/a.yaml#b)', 'docs/a.yaml is no page, and has no place "#b"'],
    ['what lies outside', '[x](../etc)', 'there is no ../etc'],
    ['a picture that is not there', '![x](docs/x.svg)', 'there is no docs/x.svg'],
    ['a link in a table', '|a|\n|-|\n|[x](b)|', 'there is no b'],
    ['a picture in HTML', '<img src="docs/x.svg">', 'there is no docs/x.svg'],
  ])('%s is told, with file and line', (_what, text, trouble) => {
    const [told, ...more] = troublesIn({ 'README.md': `\n\n${text}\n`, 'docs/a.yaml': '' })
    expect(told).toMatch(/^README\.md:[35]: link to /)
    expect(told).toContain(trouble)
    expect(more).toEqual([])
  })

  test('a page that the contents do not lead to is told', () => {
    expect(troublesIn({ 'README.md': '[x](docs/lost.md)', 'docs/lost.md': '# Lost\n' })).toEqual([
      expect.stringMatching(/^docs\/lost\.md: neither docs\/README\.md nor .* leads there$/),
    ])
  })
})
