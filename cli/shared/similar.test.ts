import { expect, test } from 'vitest'
import { didYouMean, similarTo } from './similar.ts'

test.each([
  ['letters that are exchanged', 'debain', ['alpine', 'debian'], ['debian']],
  ['one too few, one too many', 'tols', ['tools', 'toes', 'work'], ['toes', 'tools']],
  ['of several the nearest', 'debian-1', ['debian-12', 'debain'], ['debian-12']],
  ['nothing that is far', 'nginx', ['debian', 'tools'], []],
  ['nothing of a short word', 'a', ['b', 'ab'], []],
  ['not the word itself', 'debian', ['debian'], []],
  ['nothing where there is nothing', 'debian', [], []],
])('%s', (_, word, known, similar) => {
  expect(similarTo(word, known)).toEqual(similar)
})

test('it is asked as commander asks', () => {
  expect(didYouMean([])).toBe('')
  expect(didYouMean(['debian'])).toBe('\n(Did you mean debian?)')
  expect(didYouMean(['a', 'b'])).toBe('\n(Did you mean one of a, b?)')
})
