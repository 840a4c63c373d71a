import { expect, test } from 'vitest'
import { parseSource } from './source.ts'

test.each(['constructor:x', 'cd:x', './docker:x'])('%s is a file, for nothing is fetched by such a word', (path) => {
  expect(parseSource(path)).toEqual({ kind: 'path', path })
})
