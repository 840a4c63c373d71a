import { execFileSync } from 'node:child_process'
import { appendFileSync, mkdirSync, readFileSync, rmSync, statfsSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { mountSmallDisk } from '../../../test/node/small-disk.ts'
import type { RecordedOverlay } from '../../node/ticket.ts'
import { growMounted, type MountedGrowth } from './grow-mounted.ts'
import { prepareOverlay } from './prepare.ts'
import { createWorkplace, makeBlockVolume, superblockOf, type Workplace } from './testing/workplace.ts'

const MiB = 2 ** 20

/** Growing a mounted file system asks for CAP_SYS_RESOURCE, which not every root has. */
const mayGrow = (() => {
  const [, bits = '0'] = /^CapEff:\t([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? []
  return ((BigInt(`0x${bits}`) >> 24n) & 1n) === 1n
})()

let workplace: Workplace
let image: string
let at: string
beforeEach(() => {
  workplace = createWorkplace()
  image = workplace.image
  at = join(workplace.dir, 'at')
  mkdirSync(at)
  mkdirSync(join(workplace.dir, 'locks'))
})
afterEach(() => workplace.close())

const noted = { name: 'work', uid: 'uid-work', access: 'ReadWrite', ext3Offset: 0 } as const

const grow = (record: RecordedOverlay, size: number, changes: Partial<MountedGrowth> = {}) => {
  const { lockDir, worker } = workplace.preparation()
  return growMounted({ record, size, sparse: false, lockDir, worker, ...changes })
}

/** Mounts the image as the runtime does. */
const mountImage = (): RecordedOverlay => {
  const loop = execFileSync('losetup', ['--find', '--show', image], { encoding: 'utf8' }).trim()
  execFileSync('mount', ['-t', 'ext4', '-o', 'errors=remount-ro,data_err=abort', loop, at])
  // Autoclear: it goes with the mount.
  execFileSync('losetup', ['--detach', loop])
  const number = Number(loop.slice('/dev/loop'.length))
  const diskseq = readFileSync(`/sys/block/loop${number}/diskseq`, 'utf8').trim()
  const { dev, ino } = statSync(image, { bigint: true })
  return { ...noted, path: image, dev: String(dev), ino: String(ino), loop: { number, diskseq }, device: null }
}

const unmount = () => execFileSync('umount', [at])
const whole = (): number => {
  const { blocks, bsize } = statfsSync(at)
  return blocks * bsize
}

/** What a container does meanwhile. */
const writing = async <T>(act: () => Promise<T>): Promise<T> => {
  let written = 0
  const write = (): void => appendFileSync(join(at, 'log'), `${written++}\n`)
  write()
  const timer = setInterval(write, 1)
  try {
    return await act()
  } finally {
    clearInterval(timer)
    const lines = readFileSync(join(at, 'log'), 'utf8').split('\n').slice(0, -1)
    expect(lines.map(Number)).toEqual(Array.from({ length: written }, (_, index) => index))
  }
}

const expectOutcome = (outcome: unknown, bytes: number): void => {
  expect(outcome).toEqual(
    mayGrow
      ? { kind: 'grown', bytes }
      : { kind: 'later', why: 'the kernel does not let the agent do it (CAP_SYS_RESOURCE)' },
  )
}

describe.each([false, true])('a mounted image (sparse: %s)', (sparse) => {
  const ext3 = { allocation: sparse ? 'Sparse' : 'Full' } as const

  test('grows while it is written to where the kernel permits it, else at the next start', async () => {
    await prepareOverlay(workplace.preparation({ ext3 }))
    const record = mountImage()
    try {
      const before = whole()
      const outcome = await writing(() => grow(record, 256 * MiB, { sparse }))
      expectOutcome(outcome, 256 * MiB)
      if (mayGrow) {
        expect(whole()).toBeGreaterThan(before + 200 * MiB)
        writeFileSync(join(at, 'large'), Buffer.alloc(100 * MiB))
        expect(await grow(record, 256 * MiB, { sparse })).toEqual({ kind: 'enough' })
      } else expect(whole()).toBe(before)
    } finally {
      unmount()
    }
    const { figures } = await prepareOverlay(workplace.preparation({ made: true, size: 256 * MiB, ext3 }))
    expect(figures.blocks * figures.blockSize).toBe(256 * MiB)
    execFileSync('e2fsck', ['-f', '-n', image], { stdio: 'pipe' })
    const allocated = statSync(image).blocks * 512
    if (sparse) expect(allocated).toBeLessThan(180 * MiB)
    else expect(allocated).toBeGreaterThanOrEqual(256 * MiB)
  })
})

test('a mounted block volume grows with its device', async () => {
  const device = makeBlockVolume(join(workplace.dir, 'device'), 32)
  try {
    await prepareOverlay(workplace.preparation({ volume: device }))
    execFileSync('mount', ['-t', 'ext4', device.mapPath, at])
    try {
      const { dev, ino } = statSync(device.mapPath, { bigint: true })
      const numbers = { major: device.major, minor: device.minor }
      const record = { ...noted, path: device.mapPath, dev: String(dev), ino: String(ino), loop: null, device: numbers }
      expect(await grow(record, 1)).toEqual({ kind: 'enough' })
      device.grow(160)
      expectOutcome(await writing(() => grow(record, 1)), 160 * MiB - 4096)
    } finally {
      unmount()
    }
    await prepareOverlay(workplace.preparation({ volume: device, made: true }))
    expect(superblockOf(device.mapPath).blocks * 4096).toBe(160 * MiB - 4096)
    execFileSync('e2fsck', ['-f', '-n', device.mapPath], { stdio: 'pipe' })
  } finally {
    device.detach()
  }
})

describe('is left as it is', () => {
  test('where the volume has no room', async () => {
    const unmountDisk = mountSmallDisk(workplace.directory, 48)
    try {
      await prepareOverlay(workplace.preparation())
      const record = mountImage()
      try {
        await expect(writing(() => grow(record, 64 * MiB))).rejects.toMatchObject({ reason: 'OverlayNoSpace' })
        expect(statSync(image).size).toBe(16 * MiB)
      } finally {
        unmount()
      }
    } finally {
      unmountDisk()
    }
  })

  test('once it is mounted no more, or its loop device shows another file', async () => {
    await prepareOverlay(workplace.preparation())
    const record = mountImage()
    unmount()
    const why = 'it is not mounted any more'
    expect(await grow(record, 64 * MiB)).toEqual({ kind: 'later', why })
    const other = mountImage()
    try {
      expect(await grow({ ...other, loop: { number: other.loop?.number ?? 0, diskseq: '1' } }, 64 * MiB)).toEqual({
        kind: 'later',
        why,
      })
      expect(statSync(image).size).toBe(16 * MiB)
    } finally {
      unmount()
    }
  })

  test('where another file has taken its place', async () => {
    await prepareOverlay(workplace.preparation())
    const record = mountImage()
    try {
      rmSync(image)
      writeFileSync(image, 'another')
      expect(await grow(record, 64 * MiB)).toEqual({ kind: 'later', why: 'its image is no longer where it was' })
      expect(readFileSync(image, 'utf8')).toBe('another')
    } finally {
      unmount()
    }
  })

  test('beyond what it was made to grow to', async () => {
    const ext3 = { allocation: 'Sparse' } as const
    await prepareOverlay(workplace.preparation({ ext3 }))
    const record = mountImage()
    try {
      expect(await grow(record, 40_000 * MiB, { sparse: true })).toEqual({
        kind: 'never',
        why: expect.stringMatching(/^it was made to grow to \d+ MiB at most: make a larger overlay/),
      })
      expect(statSync(image).size).toBe(16 * MiB)
    } finally {
      unmount()
    }
  })

  test('in a SIF', async () => {
    const record = { ...noted, path: image, dev: '0', ino: '0', loop: null, device: null, ext3Offset: 4096 }
    expect(await grow(record, 64 * MiB)).toEqual({ kind: 'later', why: 'it is not the only one in its file' })
  })
})
