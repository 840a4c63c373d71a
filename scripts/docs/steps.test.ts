import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parsePage } from './page.ts'
import { isAsShown, stepsOf } from './steps.ts'
import { pagesToFollow } from './to-follow.ts'

const stepsIn = (text: string) => stepsOf(parsePage('page.md', text))
const block = (info: string, text: string) => `\`\`\`${info}\n${text}\n\`\`\`\n\n`

describe('the steps of a page', () => {
  test('are commands with what they print, files, and what is not run', () => {
    const page = [
      block('yaml dev.yaml', 'kind: Instance'),
      block('sh', 'echo a'),
      block('output', 'a'),
      block('sh fails', 'false'),
      block('sh not run: it needs a GPU', 'nvidia-smi'),
      block('output', 'a table'),
    ].join('')
    expect(stepsIn(page)).toEqual([
      { kind: 'file', line: 1, name: 'dev.yaml', text: 'kind: Instance\n' },
      { kind: 'commands', line: 5, script: 'echo a\n', fails: false, output: 'a\n' },
      { kind: 'commands', line: 13, script: 'false\n', fails: true, output: undefined },
      { kind: 'notRun', line: 17, reason: 'it needs a GPU' },
    ])
  })

  test.each([
    ['of no kind', block('', 'echo a'), /^page\.md:1: "" says not what the block is/],
    ['of a language alone', block('yaml', 'a: 1'), /^page\.md:1: "yaml" says not/],
    ['without a reason', block('sh not run:', 'echo a'), /^page\.md:1: "sh not run:" says not/],
    ['whose output has no commands', block('output', 'a'), /^page\.md:1: an output stands behind/],
  ])('are not taken from a block %s', (_what, page, message) => {
    expect(() => stepsIn(page)).toThrow(message)
  })
})

describe('what is printed is as shown', () => {
  test.each([
    ['word for word', 'a (b)\n', 'a (b)\n'],
    ['whatever the width of its columns', 'NAME  AGE\ndev   5s\n', 'NAME   AGE\ndev    5s\n'],
    ['with any text for …', 'pod/dev at 10.0.0.7\n', 'pod/dev at …\n'],
    ['with any lines for a line …', 'first\nx\ny\nlast\n', 'first\n…\nlast\n'],
    ['with no line for a line …', 'first\nlast\n', 'first\n…\nlast\n'],
  ])('%s', (_what, printed, shown) => {
    expect(isAsShown(printed, shown)).toBe(true)
  })

  test.each([
    ['a word is another', 'a\n', 'b\n'],
    ['a line is missing', 'a\n', 'a\nb\n'],
    ['there is a line more', 'a\nb\n', 'a\n'],
    ['… would have to reach into the next line', 'a 1\nb\n', 'a …b\n'],
  ])('but not when %s', (_what, printed, shown) => {
    expect(isAsShown(printed, shown)).toBe(false)
  })
})

test('every block of the tutorial and the how-tos says what it is', () => {
  const pages = pagesToFollow(join(import.meta.dirname, '../..'))
  expect(pages.length).toBeGreaterThan(1)
  for (const page of pages) expect(stepsOf(page).length).toBeGreaterThan(0)
})
