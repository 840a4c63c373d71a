import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { errorsFile, errorsPage } from './errors.ts'

const page = errorsPage()

test('docs/errors.md is what the tests try: npm run generate', () => {
  expect(readFileSync(errorsFile, 'utf8')).toBe(page)
})

test.each([
  [40, 'lamina', /^\| `lamina .* \| \d+ \|$/gm],
  [40, 'kubectl lamina', /^\| `kubectl lamina .* \| \d+ \|$/gm],
  [40, 'the three kinds at the API server', /^\|.* \| `(spec\.|<nil>|The |Error |error:).*\|$/gm],
  [30, 'the three kinds as the controller finds them', /^\| .* \| `[A-Z]\w+` \| `.*\|$/gm],
])('it has at least %i of %s', (least, _what, row) => {
  expect(page.match(row)?.length).toBeGreaterThanOrEqual(least)
})

test('a stroke in a message ends no cell, and a line end is kept', () => {
  expect(page).toContain('SOURCE[:DESTINATION[:ro\\|:rw]]')
  expect(page).toContain("`unknown command 'nope'`<br>`See: lamina --help`")
})
