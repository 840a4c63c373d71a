import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { writeSite } from './site.ts'
import { readTree } from './tree.ts'

describe('the site', () => {
  let dir: string
  let pages: number
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'lamina-site-'))
    pages = writeSite(readTree(join(import.meta.dirname, '../..')), dir)
  })
  afterAll(() => rmSync(dir, { recursive: true }))

  const htmlFiles = () =>
    readdirSync(dir, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.html'))
  const read = (path: string) => readFileSync(join(dir, path), 'utf8')

  test('begins with the README, and has every page', () => {
    expect(read('index.html')).toContain('<title>Lamina</title>')
    expect(pages).toBeGreaterThan(40)
    expect(htmlFiles().length).toBeGreaterThanOrEqual(pages)
  })

  test('has all that its own links lead to, with the place on the page', () => {
    const dead = htmlFiles().flatMap((path) =>
      [...read(path).matchAll(/ (?:href|src)="(?!https:)([^"#]*)(?:#([^"]*))?"/g)].flatMap(([, target = '', place]) => {
        const there = join(dirname(path), decodeURI(target === '' ? (path.split('/').at(-1) ?? '') : target))
        const isThere = existsSync(join(dir, there)) && (place === undefined || read(there).includes(` id="${place}"`))
        return isThere ? [] : [`${path}: ${target}#${place}`]
      }),
    )
    expect(dead).toEqual([])
  })

  test('shows pictures, source files and folders', () => {
    expect(existsSync(join(dir, 'docs/diagrams/overlay.svg'))).toBe(true)
    expect(read('examples/image.yaml.html')).toContain('kind: ContainerImage')
    expect(read('examples/index.html')).toContain('<a href="image.yaml.html">image.yaml</a>')
  })

  test('has its contents beside every page, and marks where one is', () => {
    expect(read('docs/how-to/gpu.html')).toContain('<a href="gpu.html" aria-current="page">GPU nodes</a>')
    expect(read('docs/how-to/gpu.html')).toContain('<a href="../tutorial.html">Ten minutes</a>')
  })
})
