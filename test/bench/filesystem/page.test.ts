import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const docs = join(import.meta.dirname, '../../../docs')
const page = readFileSync(join(docs, 'speed.md'), 'utf8')

test('docs/speed.md shows plots that are there', () => {
  const plots = [...page.matchAll(/\]\((plots\/[^)]+\.svg)\)/g)].map(([, path = '']) => path)
  expect(plots.length).toBeGreaterThan(3)
  for (const plot of plots) expect(existsSync(join(docs, plot)), plot).toBe(true)
})

test('docs/speed.md has figures in each of its tables', () => {
  const tables = [...page.matchAll(/<!-- (.+?) -->\n([\s\S]*?)<!-- end of \1 -->/g)]
  expect(tables.length).toBeGreaterThan(2)
  for (const [, name, table] of tables) expect(table, name).toMatch(/^\| --- \|/m)
})
