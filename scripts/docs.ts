/**
 * Makes a static site of the documentation in `dist/site`. A link that leads
 * nowhere is an error; those to other places are listed, and not followed.
 */
import { join } from 'node:path'
import { checkLinks } from './docs/check.ts'
import { writeSite } from './docs/site.ts'
import { readTree } from './docs/tree.ts'

const root = join(import.meta.dirname, '..')
const print = (text: string): void => {
  process.stdout.write(`${text}\n`)
}

const tree = readTree(root)
const { troubles, external } = checkLinks(tree)
if (troubles.length > 0) {
  process.stderr.write(`${troubles.join('\n')}\n`)
  process.exitCode = 1
} else {
  const dir = join(root, 'dist/site')
  const pages = writeSite(tree, dir)
  print(`links to other places, not followed:\n${external.map((url) => `  ${url}`).join('\n')}`)
  print(`${pages} pages in ${dir}`)
}
