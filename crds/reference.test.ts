import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { referenceFile, referencePage } from './reference.ts'

const page = referencePage()

test('docs/reference.md is what the schemas say: npm run generate', () => {
  expect(readFileSync(referenceFile, 'utf8')).toBe(page)
})

test.each([
  [
    'a field with a default, its words and what is refused',
    /^\| `spec\.size` \| string \| `1Gi` \| Size of .*size must be a quantity/m,
  ],
  ['the words that it can be', /^\| `spec\.overlays\[\]\.access` \| `ReadWrite`, `ReadOnly` \| `ReadWrite` \|/m],
  ['what must be given', /^\| `spec\.imageRef\.name` \| string \| required \|/m],
  [
    'that a schema is Kubernetes’ own, and none of its fields',
    /^\| `spec\.podTemplate` \| as `PodTemplateSpec` of Kubernetes \|/m,
  ],
  ['conditions', /^\| `status\.conditions\[\]\.reason` \|/m],
])('it has %s', (_what, row) => {
  expect(page).toMatch(row)
  expect(page).not.toContain('`spec.podTemplate.')
})
