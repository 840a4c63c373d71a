import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { attachedFiles } from '../../../runtime-shim/mount/loop.ts'
import { createRootBench, type RootBench } from '../../node/roots.ts'
import { hasFile, record, recordBytes } from './power-cut-writer.ts'

vi.setConfig({ testTimeout: 60_000 })

/*
 * The power goes off for the file system underneath: it is shut down without a flush (the ioctl *_GOINGDOWN), so what it
 * had in memory, cached data and its own log, is lost. What stays is what it had given to its disk.
 */

const mebibytes = 128
const writer = join(import.meta.dirname, 'power-cut-writer.ts')

interface Volume {
  path: string
  /** Power off, and on again: log recovery included. */
  cut(): void
  restore(): Promise<void>
}

const untilDetached = async (file: string): Promise<void> => {
  while (attachedFiles().some(({ path }) => path === file)) await sleep(5)
}

const makeVolume = (bench: RootBench, mkfs: readonly string[]): Volume => {
  const [path, disk] = [join(bench.dir, 'volume'), join(bench.dir, 'disk')]
  const [program = '', ...args] = mkfs
  mkdirSync(path)
  execFileSync('truncate', ['--size=512M', disk])
  execFileSync(program, [...args, disk])
  const mount = () => execFileSync('mount', ['-o', 'loop', disk, path])
  const umount = () => execFileSync('umount', [path])
  mount()
  bench.defer(umount)
  return {
    path,
    cut: () => execFileSync('xfs_io', ['-x', '-c', 'shutdown', path]),
    restore: async () => {
      umount()
      // Whoever took a copy of the host's mounts meanwhile has it too: mounted again, it would still be the one without power.
      await untilDetached(disk)
      mount()
    },
  }
}

/** As `prepare` makes it: all room reserved, plain ext3. */
const makeImage = (directory: string): string => {
  const file = join(directory, 'overlay.img')
  execFileSync('fallocate', ['--length', `${mebibytes}MiB`, file])
  execFileSync('mkfs.ext3', ['-F', '-q', '-b', '4096', '-E', 'nodiscard', file])
  execFileSync('sync', ['--file-system', directory])
  return file
}

const acknowledgedIn = (file: string): number[] =>
  existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n').map(Number) : []

let bench: RootBench
let volume: Volume
beforeEach(() => {
  bench = createRootBench()
})
afterEach(() => bench.close())

/**
 * Writes in a root on the volume, cuts the power meanwhile, mounts again.
 *
 * @returns the records that were acknowledged, those of them that are gone, and what e2fsck thinks
 */
const cutWhileWriting = async ({ before = '', afterRecords }: { before?: string; afterRecords: number }) => {
  const image = makeImage(volume.path)
  const acks = join(bench.dir, 'acknowledged')
  const script = `${before}${process.execPath} ${writer} . ${acks}`
  const ended = bench.run({ readWrite: volume.path, script }).then(() => 'ended' as const)
  while (acknowledgedIn(acks).length < afterRecords) {
    if ((await Promise.race([ended, sleep(2)])) === 'ended') throw new Error('the writer ended before the power cut')
  }
  volume.cut()
  await ended
  await untilDetached(image)
  await volume.restore()

  const acknowledged = acknowledgedIn(acks)
  const files = join(bench.dir, 'found')
  await bench.run({ readWrite: volume.path, script: `mkdir ${files}; cp log file-* ${files}` })
  const sound = spawnSync('e2fsck', ['-f', '-n', image]).status === 0
  const found = (name: string): Buffer => {
    const file = join(files, name)
    return existsSync(file) ? readFileSync(file) : Buffer.alloc(0)
  }
  const log = found('log')
  const isKept = (number: number): boolean =>
    log.subarray(number * recordBytes, (number + 1) * recordBytes).equals(record(number)) &&
    (!hasFile(number) || found(`file-${number}`).equals(record(number)))
  return { acknowledged, sound, lost: acknowledged.filter((number) => !isKept(number)) }
}

describe.each([
  { name: 'ext4', mkfs: ['mkfs.ext4', '-q', '-F'] },
  { name: 'XFS', mkfs: ['mkfs.xfs', '-q', '-f'] },
])('an overlay image on $name, when the power goes off', ({ mkfs }) => {
  beforeEach(() => {
    volume = makeVolume(bench, mkfs)
  })

  test('has all that fsync acknowledged, and is sound', async () => {
    const { acknowledged, lost, sound } = await cutWhileWriting({ afterRecords: 300 })
    expect(acknowledged.length).toBeGreaterThanOrEqual(300)
    expect(lost).toEqual([])
    expect(sound).toBe(true)
  })

  test('would not without barriers: this test sees what is lost', async () => {
    const before = `mount -o remount,nobarrier "$(dirname "$PWD")/overlay-0"; `
    const { lost, sound } = await cutWhileWriting({ before, afterRecords: 300 })
    expect({ lost, sound }).not.toEqual({ lost: [], sound: true })
  })
})
