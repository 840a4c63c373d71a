import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { build } from './build.ts'
import { replaceDirectory } from './replace.ts'

let folder: string
let dist: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lamina-replace-'))
  dist = join(folder, 'dist')
  mkdirSync(dist)
  writeFileSync(join(dist, 'lamina'), 'of before')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const found = (): string => readFileSync(join(dist, 'lamina'), 'utf8')
const write = async (fresh: string): Promise<void> => writeFileSync(join(fresh, 'lamina'), 'new')

test('a build that fails leaves what was built before', async () => {
  await expect(build(dist, [], { modules: join(folder, 'nowhere') })).rejects.toThrow('ENOENT')
  expect(found()).toBe('of before')
})

test('so does one that is killed, and the next one puts its own in the place', async () => {
  const script = `import { replaceDirectory } from ${JSON.stringify(join(import.meta.dirname, 'replace.ts'))}
  import { writeFileSync } from 'node:fs'
  await replaceDirectory(${JSON.stringify(dist)}, (fresh) => {
    writeFileSync(fresh + '/half', '')
    return new Promise(() => setInterval(() => {}, 1000))
  })`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], { stdio: 'inherit' })
  const ended = once(child, 'exit')
  await vi.waitFor(() => expect(existsSync(join(folder, '.dist.new/half'))).toBe(true), 10_000)
  child.kill('SIGINT')
  await ended
  expect(found()).toBe('of before')
  await replaceDirectory(dist, write)
  expect({ found: found(), all: readdirSync(folder), in: readdirSync(dist) }).toEqual({
    found: 'new',
    all: ['dist'],
    in: ['lamina'],
  })
})

test('one that was killed between the renames has not taken it away either', async () => {
  renameSync(dist, join(folder, '.dist.old'))
  await expect(replaceDirectory(dist, () => Promise.reject(new Error('fails')))).rejects.toThrow('fails')
  expect(found()).toBe('of before')
})

test('where nothing was before, it is made', async () => {
  rmSync(dist, { recursive: true })
  await replaceDirectory(dist, write)
  expect(found()).toBe('new')
})
