import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { record } from './record.ts'
import type { Step } from './transcript.ts'

let directory: string
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'lamina-record-'))
})
afterAll(() => rmSync(directory, { recursive: true }))

const recorded = async (...steps: (Partial<Step> & { type: string })[]): Promise<string[]> => {
  const all = steps.map((step) => ({ fails: false, wait: 0, ...step }))
  const shown = { title: 'a test', columns: 60, rows: 10, prompt: '$ ', files: {}, steady: [] }
  const takes = await record({ ...shown, steps: all }, { directory, env: process.env })
  return takes.map(({ output }) => stripVTControlCharacters(output))
}

test('what is typed meets a shell on a terminal of that size, in that directory', async () => {
  expect(await recorded({ type: 'stty size' }, { type: 'test -t 1 && pwd' })).toEqual([
    '\r\n10 60\r\n$ ',
    `\r\n${directory}\r\n$ `,
  ])
})

test('a program that asks is answered by the next step', async () => {
  const asks = `read -p 'name? ' name; echo "hello $name"`
  expect(await recorded({ type: asks, until: /name\? $/ }, { type: 'Ada' })).toEqual([
    '\r\nname? ',
    '\r\nhello Ada\r\n$ ',
  ])
})

test('what goes on by itself is ended by Ctrl-C', async () => {
  const [output] = await recorded({ type: 'echo ready; sleep 600', interruptAfter: /^ready/m })
  expect(output).toMatch(/^\r\nready\r\n\^C/)
})

test('a command that fails is no picture, unless it is to fail', async () => {
  await expect(recorded({ type: 'ls /none' })).rejects.toThrow(/"ls \/none" failed:[\s\S]*No such file/)
  await expect(recorded({ type: 'true', fails: true })).rejects.toThrow('"true" did not fail')
  expect(await recorded({ type: 'false', fails: true })).toEqual(['\r\n$ '])
})

test('a shell that has ended is told', async () => {
  await expect(recorded({ type: 'exit 0' })).rejects.toThrow('no prompt on the terminal of "a test"')
})
