import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readTranscript } from './transcript.ts'

describe('the transcripts', () => {
  const dir = join(import.meta.dirname, 'transcripts')

  test.each(readdirSync(dir))('%s can be read, and no line that is typed is broken', (file) => {
    const { columns, prompt, steps } = readTranscript(join(dir, file))
    for (const { type } of steps) expect(prompt.length + type.length, type).toBeLessThan(columns)
  })
})

describe('of a wrong one is told', () => {
  let dir: string
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'lamina-transcript-'))
  })
  afterAll(() => rmSync(dir, { recursive: true }))

  test.each([
    ['a field that there is none of', 'steps: [{ type: ls, slowly: true }]', /slowly[\s\S]*at steps\[0\]/],
    [
      'a pattern that is none',
      'steps: [{ type: ls, until: "(" }]',
      /not a regular expression: \([\s\S]*at steps\[0\]\.until/,
    ],
    ['nothing to type', 'steps: []', /at steps/],
  ])('%s', (_what, text, told) => {
    const path = join(dir, 'wrong.yaml')
    writeFileSync(path, `title: wrong\ncolumns: 80\nrows: 10\n${text}\n`)
    expect(() => readTranscript(path)).toThrow(told)
    expect(() => readTranscript(path)).toThrow(path)
  })
})
