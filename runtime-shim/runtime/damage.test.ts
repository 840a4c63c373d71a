import { execFileSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { makeExt3 } from '../../test/node/images.ts'
import { type BenchContainer, createRuntimeBench, type RuntimeBench } from '../../test/node/runtime-bench.ts'
import { readJson } from '../node/json-file.ts'
import { podPaths } from '../node/layout.ts'
import { damageSchema } from '../node/ticket.ts'

let bench: RuntimeBench
beforeAll(async () => {
  bench = await createRuntimeBench()
}, 60_000)
afterAll(() => bench.close())

const mountPath = '/.lamina/overlays/0'
const ephemeralPath = '/.lamina/ephemeral'

let count = 0
const newDirectory = (): string => {
  const dir = join(bench.dir, `volume-${count++}`)
  mkdirSync(dir)
  return dir
}

const using = (directory: string, access: 'ReadWrite' | 'ReadOnly'): BenchContainer => {
  const container = bench.container({
    mounts: [
      { destination: mountPath, source: directory },
      { destination: ephemeralPath, source: newDirectory() },
    ],
  })
  const ephemeral = access === 'ReadOnly' ? { mountPath: ephemeralPath } : null
  bench.ticket(container.podUID, { overlays: [{ name: 'work', uid: 'work-uid', access, mountPath }], ephemeral })
  return container
}

/** An overlay in which somebody has written `kept` to a file. */
const usedOverlay = (): string => {
  const directory = newDirectory()
  makeExt3(join(directory, 'overlay.img'))
  const container = using(directory, 'ReadWrite')
  bench.started(container)
  expect(bench.exec(container, 'sh', '-c', 'echo kept > /foo')).toMatchObject({ exitCode: 0 })
  bench.ended(container)
  return directory
}

const debugfs = (directory: string, command: string): void => {
  execFileSync('debugfs', ['-w', '-R', command, join(directory, 'overlay.img')], { stdio: 'ignore' })
}

const overwrite = (directory: string, offset: number, bytes: Buffer): void => {
  const fd = openSync(join(directory, 'overlay.img'), 'r+')
  writeSync(fd, bytes, 0, bytes.length, offset)
  closeSync(fd)
}

const journalBlock = (directory: string): number => {
  const image = join(directory, 'overlay.img')
  return Number(execFileSync('debugfs', ['-R', 'bmap <8> 0', image], { encoding: 'utf8', stdio: 'pipe' }))
}

const damages: Readonly<Record<string, (directory: string) => void>> = {
  'errors that the kernel noted': (directory) => debugfs(directory, 'ssv error_count 2'),
  'a lost upper/': (directory) => {
    debugfs(directory, 'ln /upper /elsewhere')
    debugfs(directory, 'unlink /upper')
  },
  'no image any more': (directory) => rmSync(join(directory, 'overlay.img')),
  'a lost superblock': (directory) => overwrite(directory, 1024, Buffer.alloc(1024)),
  'a lost root directory': (directory) => debugfs(directory, 'clri <2>'),
  'a lost directory upper/': (directory) => debugfs(directory, 'sif /upper mode 0'),
  'an overwritten journal': (directory) => overwrite(directory, journalBlock(directory) * 1024, Buffer.alloc(1024)),
  'block lists that point anywhere': (directory) => debugfs(directory, 'sif /upper block[0] 4000000'),
}

const told = ({ podUID }: BenchContainer) =>
  readJson(join(podPaths(bench.layout, podUID).damages, 'work-uid.json'), damageSchema)

describe.each(Object.entries(damages))('%s', (_what, damage) => {
  test('keeps a writer away, and the agent is told of the overlay', () => {
    const directory = usedOverlay()
    damage(directory)
    const container = using(directory, 'ReadWrite')
    const { exitCode, stderr } = bench.create(container)
    expect({ exitCode, stderr }).toEqual({ exitCode: 1, stderr: expect.stringContaining('lamina: overlay "work": ') })
    expect(stderr).not.toMatch(/Unknown system error|proc\/self/)
    expect(told(container)).toEqual({
      overlay: { name: 'work', uid: 'work-uid' },
      message: stderr.trim().replace('lamina: overlay "work": ', ''),
    })
  })
})

test('an image with errors on record is not touched by a writer that is kept away', () => {
  const directory = usedOverlay()
  damages['errors that the kernel noted']?.(directory)
  const image = () => readFileSync(join(directory, 'overlay.img'))
  const before = image()
  expect(bench.create(using(directory, 'ReadWrite'))).toMatchObject({ exitCode: 1 })
  expect(image().equals(before)).toBe(true)
})

describe.each(['errors that the kernel noted', 'an overwritten journal'])('a reader, in spite of %s', (what) => {
  test('sees what lies in place', () => {
    const directory = usedOverlay()
    damages[what]?.(directory)
    const container = using(directory, 'ReadOnly')
    bench.started(container)
    expect(bench.exec(container, 'cat', '/foo').stdout).toBe('kept\n')
    bench.ended(container)
    const journal = what.includes('journal')
    expect(told(container)?.message).toEqual(journal ? expect.stringContaining('without its journal') : undefined)
  })
})

test('all who read such an overlay see it, and each pod has all its damaged overlays told', () => {
  const [one, two] = [usedOverlay(), usedOverlay()]
  for (const directory of [one, two]) {
    damages['an overwritten journal']?.(directory)
    debugfs(directory, 'feature needs_recovery')
  }
  const container = bench.container({
    mounts: [
      { destination: `${mountPath}0`, source: one },
      { destination: `${mountPath}1`, source: two },
      { destination: ephemeralPath, source: newDirectory() },
    ],
  })
  const overlays = [0, 1].map((index) => ({
    ...{ name: `work-${index}`, uid: `uid-${index}`, access: 'ReadOnly' as const },
    mountPath: `${mountPath}${index}`,
  }))
  bench.ticket(container.podUID, { overlays, ephemeral: { mountPath: ephemeralPath } })
  bench.started(container)
  const { damages: dir } = podPaths(bench.layout, container.podUID)
  expect(readdirSync(dir).toSorted()).toEqual(['uid-0.json', 'uid-1.json'])

  const other = using(one, 'ReadOnly')
  bench.started(other)
  expect(bench.exec(other, 'cat', '/foo').stdout).toBe('kept\n')
  for (const each of [container, other]) bench.ended(each)
})

test('what is sound is told of nobody', () => {
  const container = using(usedOverlay(), 'ReadWrite')
  bench.started(container)
  bench.ended(container)
  expect(told(container)).toBeUndefined()
})
