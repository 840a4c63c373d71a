import type { Page } from './page.ts'
import { readTree } from './tree.ts'

/** The pages that a reader follows step by step: the tutorial and the how-tos. */
export const pagesToFollow = (root: string): Page[] =>
  [...readTree(root).pages.values()].filter(
    ({ path }) => path === 'docs/tutorial.md' || path.startsWith('docs/how-to/'),
  )
