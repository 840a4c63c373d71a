import { execFileSync, spawnSync } from 'node:child_process'
import { closeSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { editExt3, makeExt3 } from '../../../test/node/images.ts'
import { mountSmallDisk } from '../../../test/node/small-disk.ts'
import { hasCode } from '../../mount/error-code.ts'
import { lockImage } from '../../mount/lock.ts'
import { Trouble } from '../trouble.ts'
import { growMountedApart, prepareApart } from './apart.ts'
import type { Preparation } from './preparation.ts'
import { createWorkplace, superblockOf, type Workplace } from './testing/workplace.ts'

const MiB = 2 ** 20
const program = join(import.meta.dirname, 'preparer/main.ts')

let workplace: Workplace
beforeEach(() => {
  workplace = createWorkplace()
})
afterEach(() => workplace.close())

const prepare = (changes: Partial<Preparation> = {}, signal = new AbortController().signal) =>
  prepareApart(workplace.preparation(changes), signal, program)

const pgrep = (...options: string[]): string[] =>
  (spawnSync('pgrep', options, { encoding: 'utf8' }).stdout.match(/\d+/g) ?? []).map(String)

/** The preparer leads its group. */
const groupOfPreparer = async (): Promise<string> => {
  for (;;) {
    const [group] = pgrep('--full', '--oldest', '--parent', String(process.pid), 'overlay/preparer/main.ts')
    if (group !== undefined) return group
    await sleep(5)
  }
}

/** By /proc alone: to start a program for each look takes as long as a tool may. */
const statusOf = (pid: string): string => {
  try {
    return readFileSync(`/proc/${pid}/status`, 'utf8')
  } catch (error) {
    // It has ended since it was listed.
    if (hasCode(error, 'ENOENT', 'ESRCH')) return ''
    throw error
  }
}

const runs = (group: string, tool: string): boolean =>
  readFileSync(`/proc/${group}/task/${group}/children`, 'utf8')
    .split(' ')
    .filter(Boolean)
    .map(statusOf)
    .some((status) => status.startsWith(`Name:\t${tool}\n`) && !/^State:\tZ/m.test(status))

/** Stops the preparer with its tool: so the tool is at work, however busy the machine is, until they are let go on. */
const stopAtWork = async (tool: string): Promise<string> => {
  const group = await groupOfPreparer()
  while (!runs(group, tool)) await sleep(1)
  process.kill(-group, 'SIGSTOP')
  expect(runs(group, tool), 'it had not ended before it was stopped').toBe(true)
  return group
}

describe('by a process of its own', { timeout: 20_000 }, () => {
  test('it is prepared, and how far it is is told', async () => {
    expect(await prepare({ size: 32 * MiB })).toMatchObject({ checked: false, figures: { blocks: 8192 } })
    expect(workplace.lines).toEqual(['overlay "work": making an ext3 file system of 32 MiB'])
  })

  test('what is found is told as it is', async () => {
    makeExt3(workplace.image, 16, '-b', '4096')
    editExt3(
      workplace.image,
      'write /etc/hostname kept',
      'set_inode_field kept links_count 7',
      'set_super_value error_count 1',
    )
    expect(await prepare({ made: true })).toMatchObject({ checked: true, repaired: [expect.any(String)] })
    editExt3(workplace.image, 'clri <2>', 'set_super_value error_count 1')
    // It has lost its root.
    expect(await prepare({ made: true })).toMatchObject({ damaged: expect.stringMatching(/copy what you need/) })
  })

  test('troubles have the same words', async () => {
    const missing = prepare({ made: true })
    await expect(missing).rejects.toBeInstanceOf(Trouble)
    await expect(missing).rejects.toMatchObject({ reason: 'OverlayMissing', final: false })
    makeExt3(workplace.image)
    const fd = openSync(workplace.image, 'r+')
    lockImage(fd, 'exclusive', workplace.image)
    await expect(prepare({ made: true })).rejects.toMatchObject({ reason: 'OverlayInUse' })
    closeSync(fd)
  })

  test('that it cannot even begin is an error', async () => {
    await expect(prepareApart(workplace.preparation(), new AbortController().signal, '/nothing.cjs')).rejects.toThrow(
      /overlay preparer ended with 1: .*Cannot find module '\/nothing.cjs'/s,
    )
    await expect(prepare({ volume: { kind: 'directory', path: join(workplace.dir, 'nothing') } })).rejects.toThrow(
      /ENOENT/,
    )
  })

  test('what is mounted no more is not grown', async () => {
    makeExt3(workplace.image)
    const record = {
      ...{ name: 'work', uid: 'uid-work', access: 'ReadWrite' as const, path: workplace.image, dev: '1', ino: '2' },
      ...{ loop: null, device: null, ext3Offset: 0 },
    }
    const { worker, lockDir } = workplace.preparation()
    expect(await growMountedApart({ record, size: 64 * MiB, sparse: false, lockDir, worker }, program)).toMatchObject({
      kind: 'later',
      why: 'it is not mounted any more',
    })
  })
})

describe('at the end of its pod', { timeout: 20_000 }, () => {
  /** mkfs.ext3 has much to write, and says nothing meanwhile. */
  const long = { size: 512 * MiB, ext3: { bytesPerInode: 1024 } } as const

  test('it ends with its tools, and what they have left stops nobody', async () => {
    const ending = new AbortController()
    const prepared = prepare(long, ending.signal)
    const group = await stopAtWork('mkfs.ext3')
    ending.abort()
    const start = performance.now()
    process.kill(-group, 'SIGCONT')
    expect(await prepared).toBeUndefined()
    expect(performance.now() - start, 'before they would have been killed').toBeLessThan(4_500)
    expect(pgrep('--pgroup', group, '--runstates', 'R,S,D,T')).toEqual([])
    expect(await prepare()).toMatchObject({ checked: false })
    expect(readdirSync(workplace.directory)).toEqual(['overlay.img'])
  })

  test('it waits for a lock no longer, and nothing has changed', async () => {
    makeExt3(workplace.image, 16, '-b', '4096')
    const before = readFileSync(workplace.image)
    const ending = new AbortController()
    const fd = openSync(workplace.image, 'r+')
    lockImage(fd, 'exclusive', workplace.image)
    const prepared = prepare({ lockWaitMs: 60_000 }, ending.signal)
    await groupOfPreparer()
    ending.abort()
    expect(await prepared).toBeUndefined()
    closeSync(fd)
    expect(readFileSync(workplace.image).equals(before)).toBe(true)
    expect(await prepare()).toMatchObject({ checked: true })
  })

  test('it is not even begun when the pod has ended before', async () => {
    const ending = new AbortController()
    ending.abort()
    expect(await prepare({}, ending.signal)).toBeUndefined()
    expect(readdirSync(workplace.directory)).toEqual([])
  })

  test('a growth is made good by the next start', async () => {
    makeExt3(workplace.image, 64, '-b', '4096', '-i', '2048')
    writeFileSync(join(workplace.dir, 'kept'), 'kept\n')
    editExt3(workplace.image, `write ${workplace.dir}/kept kept`)
    const larger = { made: true, size: 800 * MiB, ext3: { allocation: 'Sparse' } } as const
    const ending = new AbortController()
    const prepared = prepare(larger, ending.signal)
    while (!readdirSync(workplace.directory).includes('.overlay.img.undertaking')) await sleep(2)
    ending.abort()
    expect(await prepared).toBeUndefined()
    expect((await prepare(larger))?.damaged).toBeUndefined()
    expect(readdirSync(workplace.directory)).toEqual(['overlay.img'])
    expect(superblockOf(workplace.image).blocks * 4096).toBe(800 * MiB)
    expect(editExt3(workplace.image, 'cat kept')).toBe('kept\n')
  })

  test('one that waits for a dead volume stops nobody else, and has not ended until it really has', async () => {
    const unmount = mountSmallDisk(workplace.directory, 32)
    execFileSync('fsfreeze', ['--freeze', workplace.directory])
    try {
      const ending = new AbortController()
      let isOver = false
      const prepared = prepare({}, ending.signal).finally(() => {
        isOver = true
      })
      const group = await groupOfPreparer()
      const isWaiting = (): boolean => pgrep('--pgroup', group, '--runstates', 'D').length > 0
      while (!isWaiting()) await sleep(5)
      ending.abort()
      await sleep(200)
      expect([isOver, isWaiting()]).toEqual([false, true])
      execFileSync('fsfreeze', ['--unfreeze', workplace.directory])
      expect(await prepared).toBeUndefined()
    } finally {
      spawnSync('fsfreeze', ['--unfreeze', workplace.directory])
      unmount()
    }
  })
})
