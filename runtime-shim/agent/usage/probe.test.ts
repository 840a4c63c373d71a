import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, rmdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { makeVolume } from '../../../test/node/images.ts'
import { attachedFiles } from '../../mount/loop.ts'
import type { RecordedOverlay } from '../../node/ticket.ts'
import { probe, readBlocks } from './probe.ts'

let dir: string
let containerID: string
const processes: ChildProcess[] = []
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'lamina-probe-'))
  containerID = `lamina-test-${process.pid}-${Date.now()}`
})

const cgroupRoot = existsSync('/sys/fs/cgroup/cgroup.procs') ? '/sys/fs/cgroup' : '/sys/fs/cgroup/pids'
const cgroup = () => join(cgroupRoot, containerID)

const end = async (child: ChildProcess | undefined): Promise<void> => {
  if (!child || child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await once(child, 'exit')
}

afterEach(async () => {
  for (const child of processes.splice(0)) await end(child)
  if (existsSync(cgroup())) rmdirSync(cgroup())
  rmSync(dir, { recursive: true })
})

/** A process in a mount namespace and a cgroup of its own, as a container's first one is; its pid is in `pid`. */
const startContainer = async (script: string): Promise<ChildProcess> => {
  const child = spawn(
    'unshare',
    ['--mount', 'sh', '-ec', `${script}\nexec chroot "$root" sh -c 'echo; exec sleep 60'`],
    {
      cwd: dir,
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  processes.push(child)
  mkdirSync(cgroup(), { recursive: true })
  writeFileSync(join(cgroup(), 'cgroup.procs'), String(child.pid))
  writeFileSync(join(dir, 'pid'), `${child.pid}`)
  await Promise.race([
    once(child.stdout ?? child, 'data'),
    once(child, 'exit').then(() => {
      throw new Error('the container has ended')
    }),
  ])
  return child
}

const overlayOn = (device: string, type = 'ext4') => `
mkdir -p merged disk
mount -t ${type} -o errors=remount-ro,data_err=abort ${device} disk
mkdir -p disk/upper disk/work
mount -t overlay -o lowerdir=/,upperdir=disk/upper,workdir=disk/work lamina merged
root=merged`

/** An overlay in an image of 16 MiB, attached until its mount ends. */
const attachImage = (): { device: string; number: number; record: RecordedOverlay } => {
  const path = join(makeVolume(join(dir, 'volume'), 16, '-b', '4096'), 'overlay.img')
  const device = execFileSync('losetup', ['--find', '--show', path], { encoding: 'utf8' }).trim()
  const number = Number(device.slice('/dev/loop'.length))
  const diskseq = attachedFiles().find((file) => file.number === number)?.diskseq ?? ''
  const { dev, ino } = statSync(path, { bigint: true })
  const record: RecordedOverlay = {
    ...{ name: 'work', uid: 'uid-work', access: 'ReadWrite', path, dev: String(dev), ino: String(ino) },
    ...{ loop: { number, diskseq }, device: null, ext3Offset: 0 },
  }
  return { device, number, record }
}

const start = async () => {
  const image = attachImage()
  const child = await startContainer(overlayOn(image.device))
  execFileSync('losetup', ['--detach', image.device])
  return { ...image, child }
}

const look = (record: RecordedOverlay, blocks?: number, id = containerID) =>
  probe({ container: { containerID: id, pidFile: '/pid' }, record }, blocks, dir)

describe('an overlay in use', () => {
  test('shows what is written to it at once, in the figures of its whole file system', async () => {
    const { record, child } = await start()
    const blocks = await readBlocks(record)
    expect(blocks).toBe(4096)
    const before = await look(record, blocks)
    expect(before).toMatchObject({
      figures: { blockSize: 4096, blocks: 4096, errorCount: 0 },
      ...{ readOnly: false, ofVolume: false },
    })
    execFileSync('sh', [
      '-c',
      `head -c 4194304 /dev/zero > /proc/${child.pid}/root/filled; sync -f /proc/${child.pid}/root`,
    ])
    const after = await look(record, blocks)
    const freed = (before?.figures.freeBlocks ?? 0) - (after?.figures.freeBlocks ?? 0)
    expect(freed).toBeGreaterThanOrEqual(1024)
    expect(freed).toBeLessThan(1040)
    expect((before?.figures.freeInodes ?? 0) - (after?.figures.freeInodes ?? 0)).toBe(1)
  })

  test('shows errors while it is mounted, and that the kernel has stopped writing', async () => {
    const { record, number } = await start()
    writeFileSync(`/sys/fs/ext4/loop${number}/trigger_fs_error`, 'a test of Lamina')
    await expect.poll(() => look(record)).toMatchObject({ figures: { errorCount: 1 }, readOnly: true })
  })

  test('is seen no more when its container has ended', async () => {
    const { record, child } = await start()
    expect(await look(record)).toBeDefined()
    await end(child)
    expect(await look(record)).toBeUndefined()
  })

  test('on a block volume has its own name in sysfs', async () => {
    const { record, number } = await start()
    const onDevice = { ...record, path: `/dev/loop${number}`, loop: null, device: { major: 7, minor: number } }
    expect(await readBlocks(onDevice)).toBe(4096)
    writeFileSync(`/sys/fs/ext4/loop${number}/trigger_fs_error`, 'a test of Lamina')
    await expect.poll(() => look(onDevice)).toMatchObject({ figures: { errorCount: 1, blockSize: 4096 } })
  })

  test('of format Directory has the figures of its volume, whose errors are not its own', async () => {
    await startContainer(`
mkdir merged volume
mount -t tmpfs -o size=8m none volume
mkdir volume/upper volume/work
mount -t overlay -o lowerdir=/,upperdir=volume/upper,workdir=volume/work lamina merged
root=merged`)
    const { device, record } = attachImage()
    const found = await look({ ...record, ext3Offset: null })
    execFileSync('losetup', ['--detach', device])
    expect(found).toMatchObject({ figures: { blocks: 2048, errorCount: 0 }, ofVolume: true })
    expect(await readBlocks({ ...record, ext3Offset: null })).toBeUndefined()
  })
})

describe('the pid in the file', () => {
  test('is another process by now: no figures', async () => {
    const { record } = await start()
    expect(await look(record, undefined, 'another-container')).toBeUndefined()
    writeFileSync(join(dir, 'pid'), String(process.pid))
    expect(await look(record)).toBeUndefined()
  })

  test.each(['', 'x', '0', '4194305'])('is "%s": none either', async (pid) => {
    const { record } = await start()
    writeFileSync(join(dir, 'pid'), pid)
    expect(await look(record)).toBeUndefined()
  })

  test('is found through links that are meant for the host', async () => {
    const { record } = await start()
    symlinkSync('/', join(dir, 'var'))
    const container = { containerID, pidFile: '/var/pid' }
    expect(await probe({ container, record }, undefined, dir)).toBeDefined()
  })
})

test('a process that has changed its root shows nothing of where it went', async () => {
  const { device, record } = attachImage()
  await startContainer(`
mkdir elsewhere
mount -t tmpfs none elsewhere
mkdir elsewhere/usr
mount --rbind /usr elsewhere/usr
ln -s usr/bin usr/lib usr/lib64 elsewhere
root=elsewhere`)
  expect(await look(record)).toBeUndefined()
  execFileSync('losetup', ['--detach', device])
})

test('a loop device that shows another file by now shows nothing', async () => {
  const { record } = await start()
  expect(await look({ ...record, loop: { number: record.loop?.number ?? 0, diskseq: '0' } })).toBeUndefined()
})

test('blocks are those of the device that is mounted, and its file is not asked for them', async () => {
  const { record, device, number } = attachImage()
  rmSync(record.path)
  expect(await readBlocks(record)).toBe(4096)
  expect(await readBlocks({ ...record, loop: { number, diskseq: '0' } })).toBeUndefined()
  const another = { ...record, path: device, loop: null, device: { major: 7, minor: number + 1 } }
  expect(await readBlocks(another)).toBeUndefined()
  execFileSync('losetup', ['--detach', device])
  expect(await readBlocks(record)).toBeUndefined()
})
