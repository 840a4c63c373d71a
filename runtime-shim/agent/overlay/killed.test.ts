import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { editExt3, makeExt3 } from '../../../test/node/images.ts'
import { hasCode } from '../../mount/error-code.ts'
import type { Preparation } from './preparation.ts'
import { prepareOverlay } from './prepare.ts'
import {
  type BlockVolume,
  createWorkplace,
  makeBlockVolume,
  superblockOf,
  type Workplace,
} from './testing/workplace.ts'

/**
 * Kill -9 at random times, with the real tools: of the agent with all that it has
 * started, as when its container is killed, and of the agent alone, when the
 * preparer and its tools go on without it. And the orderly end, when the pod goes.
 */

const MiB = 2 ** 20
/** Each test kills for so long, and at least so often. */
const forMs = 2_500
const leastRounds = 6

let workplace: Workplace
let image: string
beforeEach(() => {
  workplace = createWorkplace()
  image = workplace.image
})
afterEach(() => workplace.close())

const begin = async (preparation: Preparation): Promise<ChildProcess> => {
  const program = join(import.meta.dirname, 'testing/prepare-once.ts')
  const child = spawn(process.execPath, [program, JSON.stringify(preparation)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  })
  if (child.stdout) await once(child.stdout, 'data')
  return child
}

const childrenOf = (pid: number): number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)

const isRunning = (pid: number): boolean => {
  try {
    return !/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ESRCH')) return false
    throw error
  }
}

/** Its whole group, or itself where it has just been forked and leads none yet. */
const killGroup = (pid: number): void => {
  for (const target of [-pid, pid]) {
    try {
      process.kill(target, 'SIGKILL')
    } catch (error) {
      if (!hasCode(error, 'ESRCH')) throw error
    }
  }
}

type End = 'all killed' | 'agent killed' | 'ended'
const ends: readonly End[] = ['all killed', 'agent killed', 'ended']

/** @returns the preparer, if it had one: with the agent killed alone it goes on */
const end = ({ pid = 0 }: ChildProcess, how: End): number | undefined => {
  if (!isRunning(pid)) return undefined
  if (how === 'ended') {
    process.kill(pid, 'SIGTERM')
    return undefined
  }
  process.kill(pid, 'SIGSTOP')
  const [preparer] = childrenOf(pid)
  if (how === 'all killed' && preparer !== undefined) killGroup(preparer)
  process.kill(pid, 'SIGKILL')
  return preparer
}

interface Victim {
  /** How it is before each round. */
  reset(): void
  changes: Partial<Preparation>
  /** Of what is to be sound afterwards. */
  file(): string
  expectWhole(): void
}

/** Lets it run once, then ends it within that time, again and again, and prepares anew. */
const killAndGoOn = async ({ reset, changes, file, expectWhole }: Victim): Promise<void> => {
  const preparation = workplace.preparation({ ...changes, lockWaitMs: 10_000 })
  reset()
  const whole = await begin(preparation)
  const start = performance.now()
  await once(whole, 'exit')
  const duration = performance.now() - start
  const deadline = performance.now() + forMs
  for (let round = 0; round < leastRounds || performance.now() < deadline; round += 1) {
    reset()
    const agent = await begin(preparation)
    const gone = agent.exitCode === null ? once(agent, 'exit') : Promise.resolve()
    await sleep(Math.random() * duration)
    const preparer = end(agent, ends[round % ends.length] ?? 'ended')
    await gone
    const { damaged } = await prepareOverlay(preparation)
    expect(damaged).toBeUndefined()
    // One that was not ended may have come too late for its lock, and be looking at what it finds.
    while (preparer !== undefined && isRunning(preparer)) await sleep(5)
    execFileSync('e2fsck', ['-f', '-n', file()], { stdio: 'pipe' })
    expectWhole()
  }
}

const emptyVolume = (): void => {
  execFileSync('find', [workplace.directory, '-mindepth', '1', '-delete'])
}
const inodesIn = (directory: string): string[] =>
  editExt3(image, `ls -p ${directory}`)
    .split('\n')
    .filter((entry) => /^\/[1-9]/.test(entry))
const onlyTheImage = (): void => expect(readdirSync(workplace.directory)).toEqual(['overlay.img'])
const hasSize = (path: string, bytes: number): void => expect(superblockOf(path).blocks * 4096).toBe(bytes)

/** Where the tool has much to write: an inode for each 1024 bytes. */
const manyInodes = { bytesPerInode: 1024 } as const

describe('killed at any time, the next one succeeds', { timeout: 60_000 }, () => {
  test('while an image is made', async () => {
    await killAndGoOn({
      reset: emptyVolume,
      changes: { size: 96 * MiB, ext3: manyInodes },
      file: () => image,
      expectWhole: () => {
        onlyTheImage()
        hasSize(image, 96 * MiB)
      },
    })
  })

  test('while a sparse image is made', async () => {
    await killAndGoOn({
      reset: emptyVolume,
      changes: { size: 96 * MiB, ext3: { ...manyInodes, allocation: 'Sparse' } },
      file: () => image,
      expectWhole: () => {
        onlyTheImage()
        hasSize(image, 96 * MiB)
      },
    })
  })

  test.each(['Full', 'Sparse'] as const)('while an image grows, is checked and taken over (%s)', async (allocation) => {
    const pristine = join(workplace.dir, 'pristine')
    const kept = readFileSync(process.execPath).subarray(0, 4 * MiB)
    makeExt3(pristine, 64, '-b', '4096', '-i', '2048')
    writeFileSync(join(workplace.dir, 'kept'), kept)
    editExt3(pristine, 'mkdir upper', `write ${workplace.dir}/kept upper/kept`, 'write /dev/null upper/.wh.gone')
    await killAndGoOn({
      reset: () => {
        emptyVolume()
        execFileSync('cp', ['--sparse=always', pristine, image])
      },
      changes: { size: 600 * MiB, ext3: { allocation } },
      file: () => image,
      expectWhole: () => {
        onlyTheImage()
        hasSize(image, 600 * MiB)
        editExt3(image, `dump upper/kept ${workplace.dir}/found`)
        expect(readFileSync(join(workplace.dir, 'found')).equals(kept)).toBe(true)
        expect(editExt3(image, 'ls -p upper')).toContain('/gone/')
        expect(inodesIn('lost+found')).toHaveLength(2)
      },
    })
  })

  describe('on a block volume', () => {
    let device: BlockVolume
    beforeEach(() => {
      device = makeBlockVolume(join(workplace.dir, 'device'), 128)
    })
    afterEach(() => device.detach())
    const blank = (): void => {
      execFileSync('dd', ['if=/dev/zero', `of=${device.mapPath}`, 'bs=1M', 'count=128', 'conv=fsync'], {
        stdio: 'ignore',
      })
    }

    test('while the file system is made', async () => {
      await killAndGoOn({
        reset: blank,
        changes: { volume: device, ext3: manyInodes },
        file: () => device.mapPath,
        expectWhole: () => hasSize(device.mapPath, 128 * MiB - 4096),
      })
    })

    test('while it grows', async () => {
      const pristine = join(workplace.dir, 'pristine')
      makeExt3(pristine, 32, '-b', '4096', '-i', '2048')
      editExt3(pristine, 'write /etc/hostname kept')
      await killAndGoOn({
        reset: () => {
          blank()
          execFileSync('dd', [`if=${pristine}`, `of=${device.mapPath}`, 'bs=1M', 'conv=fsync'], { stdio: 'ignore' })
        },
        changes: { volume: device, made: true },
        file: () => device.mapPath,
        expectWhole: () => {
          hasSize(device.mapPath, 128 * MiB - 4096)
          expect(editExt3(device.mapPath, 'cat kept')).toBe(readFileSync('/etc/hostname', 'utf8'))
        },
      })
    })
  })
})
