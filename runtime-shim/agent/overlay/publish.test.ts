import {
  chownSync,
  closeSync,
  linkSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { mountSmallDisk } from '../../../test/node/small-disk.ts'
import { descriptorPath } from '../../mount/open.ts'
import { makeFile, sweepStaging } from './publish.ts'

let dir: string
let dirfd: number
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'lamina-publish-'))
  dirfd = openSync(dir, 'r')
})
afterEach(() => {
  closeSync(dirfd)
  rmSync(dir, { recursive: true })
})

const make = (content: string, meanwhile = (): void => {}): Promise<boolean> =>
  makeFile(dirfd, 'it', async (fd) => {
    writeFileSync(fd, content)
    chownSync(descriptorPath(fd), 65_534, 65_534)
    meanwhile()
  })
const read = (): string => readFileSync(join(dir, 'it'), 'utf8')

test("a finished file has its name, and is root's, whatever a tool has left", async () => {
  expect(await make('ours')).toBe(true)
  expect(read()).toBe('ours')
  expect(statSync(join(dir, 'it'))).toMatchObject({ uid: 0, gid: 0, nlink: 1 })
  expect(readdirSync(dir)).toEqual(['it'])
})

test('one that was named meanwhile stays, and ours is told not to have been named', async () => {
  expect(await make('ours', () => writeFileSync(join(dir, 'it'), 'theirs'))).toBe(false)
  expect(read()).toBe('theirs')
  expect(readdirSync(dir)).toEqual(['it'])
})

test('what is under way is counted, and what was cut off is swept', async () => {
  writeFileSync(join(dir, '.it.new-4711'), 'half')
  let counted = -1
  await make('ours', () => {
    counted = sweepStaging(dirfd, 'it')
  })
  expect(counted).toBe(1)
  expect(readdirSync(dir)).toEqual(['it'])
})

test('what was swept, or failed, has given back its room at once', { timeout: 20_000 }, async () => {
  const disk = join(dir, 'disk')
  const unmount = mountSmallDisk(disk, 400, 'xfs')
  const diskfd = openSync(disk, 'r')
  const free = (): number => {
    const { bfree, bsize } = statfsSync(disk)
    return bfree * bsize
  }
  try {
    const before = free()
    const large = Buffer.alloc(64 * 2 ** 20, 1)
    writeFileSync(join(disk, '.it.new-4711'), large, { flush: true })
    sweepStaging(diskfd, 'it')
    expect(before - free()).toBeLessThan(2 ** 20)
    const failed = makeFile(diskfd, 'it', async (fd) => {
      writeFileSync(fd, large, { flush: true })
      throw new Error('failed')
    })
    await expect(failed).rejects.toThrow('failed')
    expect(before - free()).toBeLessThan(2 ** 20)
  } finally {
    closeSync(diskfd)
    unmount()
  }
})

test('what was cut off after it had got its name keeps what is in it', async () => {
  writeFileSync(join(dir, 'it'), 'whole')
  linkSync(join(dir, 'it'), join(dir, '.it.new-4711'))
  expect(sweepStaging(dirfd, 'it')).toBe(0)
  expect(readdirSync(dir)).toEqual(['it'])
  expect(read()).toBe('whole')
})

test('another node may sweep a file that has its name already: no lock reaches across', async () => {
  const script = `
const { workerData: dir } = require('node:worker_threads')
const { existsSync, lstatSync, readdirSync, rmSync } = require('node:fs')
const isNamed = (path) => lstatSync(path, { throwIfNoEntry: false })?.nlink === 2
while (!existsSync(dir + '/stop'))
  for (const name of readdirSync(dir))
    if (name.startsWith('.it.new-')) while (existsSync(dir + '/' + name)) if (isNamed(dir + '/' + name)) rmSync(dir + '/' + name, { force: true })`
  const worker = new Worker(script, { eval: true, workerData: dir })
  const ended = new Promise<void>((resolve) => worker.once('exit', () => resolve()))
  await new Promise((resolve) => worker.once('online', resolve))
  try {
    for (let times = 0; times < 100; times++) {
      expect(await make('ours')).toBe(true)
      rmSync(join(dir, 'it'))
    }
  } finally {
    writeFileSync(join(dir, 'stop'), '')
    await ended
  }
})

test('another sweep may take what this one has seen', async () => {
  const script = `
const { workerData: dir, parentPort } = require('node:worker_threads')
const { rmSync, writeFileSync } = require('node:fs')
parentPort.postMessage('begun')
for (const end = Date.now() + 400; Date.now() < end; ) {
  for (let n = 0; n < 20; n++) writeFileSync(dir + '/.it.new-' + n, '')
  for (let n = 19; n >= 0; n--) rmSync(dir + '/.it.new-' + n, { force: true })
}`
  const worker = new Worker(script, { eval: true, workerData: dir })
  let isRunning = true
  const ended = new Promise<void>((resolve) => {
    worker.once('exit', () => {
      isRunning = false
      resolve()
    })
  })
  let sweeps = 0
  while (isRunning) {
    sweepStaging(dirfd, 'it')
    sweeps += 1
    await new Promise((resolve) => setImmediate(resolve))
  }
  await ended
  expect(sweeps).toBeGreaterThan(10)
})
