import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const table = readFileSync(join(import.meta.dirname, 'apptainer.md'), 'utf8')
const links = [...table.matchAll(/\[([^\]]+)\]\((\.\.\/[^)]+)\)/g)].map(([, title = '', path = '']) => ({
  title,
  path,
}))

test("every link of Apptainer's table leads to a test of that title", () => {
  const missing = links.filter(({ title, path }) => {
    const file = join(import.meta.dirname, path)
    return !existsSync(file) || !readFileSync(file, 'utf8').replaceAll("\\'", "'").includes(title)
  })
  expect(links.length).toBeGreaterThan(60)
  expect(missing).toEqual([])
})
