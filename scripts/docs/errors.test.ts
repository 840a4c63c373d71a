import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { errorsFile, errorsPage } from './errors.ts'

const page = errorsPage()

test('docs/errors.md is what the tests try: npm run generate', () => {
  expect(readFileSync(errorsFile, 'utf8')).toBe(page)
})

test.each([
  ['lamina', /^\| `lamina .* \| \d+ \|$/gm],
  ['kubectl lamina', /^\| `kubectl lamina .* \| \d+ \|$/gm],
  ['the three kinds at the API server', /^\|.*`(spec\.|metadata|<nil>|The |Error|error).*\|$/gm],
  ['the three kinds as the controller finds them', /^\| .* \| `[A-Z]\w+` \| `.*\|$/gm],
])('it has many of %s', (_what, row) => {
  expect(page.match(row)?.length).toBeGreaterThanOrEqual(30)
})

test('a stroke in a message ends no cell, and a line end is kept', () => {
  expect(page).toContain('SOURCE[:DESTINATION[:ro\\|:rw]]')
  expect(page).toContain("`unknown command 'nope'`<br>`See: lamina --help`")
})
