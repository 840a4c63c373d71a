import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import * as z from 'zod'
import { type Outcome, useCliBench } from '../testing/bench.ts'
import { lockerIn } from './holder.ts'

const bench = await useCliBench()

type Who = 'root' | 'an ordinary user'
const as = (who: Who) => ({
  home: who === 'root' ? bench.dir : bench.userHome,
  lamina: (...args: string[]): Outcome =>
    who === 'root' ? bench.lamina(args, { cwd: bench.dir }) : bench.asUser(args),
})
const isWhole = (path: string) => execFileSync('e2fsck', ['-fn', path], { stdio: 'pipe' })
/** An inode's link count that is not right: e2fsck -p corrects it. */
const break_ = (path: string) =>
  execFileSync('debugfs', ['-w', '-R', 'sif /upper links_count 7', path], { stdio: 'pipe' })

describe.each<Who>(['root', 'an ordinary user'])('as %s', (who) => {
  test('an overlay grows with all that is in it, and never shrinks', () => {
    const { home, lamina } = as(who)
    lamina('overlay', 'create', 'grows.img')
    lamina('exec', '-o', 'grows.img', bench.image, 'sh', '-c', 'echo kept > /foo')
    expect(lamina('overlay', 'resize', 'grows.img', '200M')).toEqual({
      code: 0,
      signal: null,
      stdout: '',
      stderr: 'INFO:    grows.img: 64 MiB → 200 MiB\n',
    })
    const path = join(home, 'grows.img')
    isWhole(path)
    expect(statSync(path).size).toBe(200 * 2 ** 20)
    expect(statSync(path).blocks * 512).toBeGreaterThanOrEqual(200 * 2 ** 20)
    const room = 'cat /foo; dd if=/dev/zero of=/big bs=1M count=100 2>/dev/null && echo fits'
    expect(lamina('exec', '-o', 'grows.img', bench.image, 'sh', '-c', room).stdout).toBe('kept\nfits\n')
    expect(lamina('overlay', 'resize', 'grows.img', '200').stderr).toBe('INFO:    grows.img has 200 MiB already\n')
    expect(lamina('overlay', 'resize', 'grows.img', '100M')).toMatchObject({
      code: 255,
      stderr:
        'FATAL:   <size> 100 MiB is less than the 200 MiB that grows.img has, and overlays do not shrink: make a smaller one, and copy what you need\n',
    })
    expect(lamina('overlay', 'resize', 'grows.img', '32M').stderr).toContain('<size> 32 MiB is less than the 200 MiB')
    expect(statSync(path).size).toBe(200 * 2 ** 20)
  })

  test('a sparse one stays sparse', () => {
    const { home, lamina } = as(who)
    lamina('overlay', 'create', '--sparse', 'sparse.img')
    expect(lamina('overlay', 'resize', 'sparse.img', '1G')).toMatchObject({ code: 0 })
    expect(statSync(join(home, 'sparse.img')).blocks * 512).toBeLessThan(100 * 2 ** 20)
  })

  test('one that cannot be made leaves nothing, and it is said what of its directories', () => {
    const { home } = as(who)
    const long = 'x'.repeat(300)
    const env = { TMPDIR: join(home, 'scratch') }
    mkdirSync(env.TMPDIR)
    chmodSync(env.TMPDIR, 0o1777)
    const create = ['overlay', 'create', '--create-dir', `/srv/${long}`, 'never.img']
    const { code, stderr } = who === 'root' ? bench.lamina(create, { env }) : bench.asUser(create, { env })
    expect({ code, stderr }).toEqual({
      code: 255,
      stderr: `FATAL:   --create-dir /srv/${long}: a name in it is too long: give a shorter one\n`,
    })
    expect(readdirSync(env.TMPDIR)).toEqual([])
    expect(existsSync(join(home, 'never.img'))).toBe(false)
  })

  test('a check tells what is wrong and leaves it, until it is told to mend', () => {
    const { home, lamina } = as(who)
    const path = join(home, 'broken.img')
    lamina('overlay', 'create', 'broken.img')
    expect(lamina('overlay', 'check', 'broken.img')).toEqual({
      code: 0,
      signal: null,
      stdout: '',
      stderr: 'INFO:    broken.img is whole\n',
    })
    break_(path)
    const before = readFileSync(path)
    const { code, stderr } = lamina('overlay', 'check', 'broken.img')
    expect(code).toBe(255)
    expect(stderr).toMatch(/^INFO: {4}Inode \d+ ref count is 7, should be 2\.\n/)
    expect(stderr).toMatch(
      /FATAL: {3}broken.img has errors: lamina overlay check --repair broken.img mends what it safely can\n$/,
    )
    expect(readFileSync(path).equals(before)).toBe(true)
    expect(lamina('overlay', 'check', '--repair', 'broken.img')).toMatchObject({ code: 0 })
    isWhole(path)
    expect(lamina('overlay', 'check', 'broken.img')).toMatchObject({ code: 0 })
  })

  test('one that is in use is left alone, and it is told who has it', () => {
    const { lamina } = as(who)
    lamina('overlay', 'create', 'used.img')
    expect(lamina('instance', 'start', '-o', 'used.img', bench.image, 'user')).toMatchObject({ code: 0 })
    const refused = { code: 255, stderr: 'FATAL:   used.img is in use by instance user: end that first\n' }
    expect(lamina('overlay', 'resize', 'used.img', '1G')).toMatchObject(refused)
    expect(lamina('overlay', 'check', 'used.img')).toMatchObject(refused)
    expect(lamina('overlay', 'check', '--repair', 'used.img')).toMatchObject(refused)
    expect(lamina('overlay', 'ls', 'used.img').stdout).toMatch(/^used\.img +64 MiB +13% +clean +instance user$/m)
    lamina('stop', 'user')
    expect(lamina('overlay', 'ls', 'used.img').stdout).toMatch(/^used\.img +64 MiB +13% +clean +-$/m)
  })

  test('a growth that was cut off is told of, and mended', () => {
    const { home, lamina } = as(who)
    lamina('overlay', 'create', 'cut-off.img')
    const note = join(home, '.cut-off.img.growing')
    const text = 'lamina.dev/undertaking growing cut-off.img\n'
    writeFileSync(note, Buffer.concat([Buffer.from(text), Buffer.alloc(4096 - text.length)]))
    break_(join(home, 'cut-off.img'))
    expect(lamina('exec', '-o', 'cut-off.img', bench.image, 'true')).toMatchObject({
      code: 255,
      stderr: 'FATAL:   making cut-off.img larger was cut off: run lamina overlay check --repair cut-off.img\n',
    })
    expect(lamina('overlay', 'check', 'cut-off.img')).toMatchObject({ code: 255 })
    if (who === 'root') expect(lamina('overlay', 'check', '--repair', 'cut-off.img')).toMatchObject({ code: 0 })
    else expect(lamina('overlay', 'resize', 'cut-off.img', '80M')).toMatchObject({ code: 0 })
    expect(existsSync(note)).toBe(false)
    isWhole(join(home, 'cut-off.img'))
    expect(lamina('exec', '-o', 'cut-off.img', bench.image, 'true')).toMatchObject({ code: 0 })
  })
})

/** An overlay with a file, which debugfs then damages. */
const damaged = (name: string, size: string, commands: readonly string[]): string => {
  bench.lamina(['overlay', 'create', '--size', size, name], { cwd: bench.dir })
  bench.lamina(['exec', '-o', name, bench.image, 'sh', '-c', 'echo kept > /foo'], { cwd: bench.dir })
  const path = join(bench.dir, name)
  for (const command of commands) execFileSync('debugfs', ['-w', '-R', command, path], { stdio: 'pipe' })
  return path
}
const check = (...args: string[]) => bench.lamina(['overlay', 'check', ...args], { cwd: bench.dir })

test('what a repair had to clear is told to be lost', () => {
  damaged('cleared.img', '64', ['clri /upper/foo'])
  expect(check('--repair', 'cleared.img')).toMatchObject({
    code: 0,
    stderr: expect.stringMatching(
      /^INFO: {4}Entry 'foo' in \/upper .* CLEARED\.\nWARNING: cleared\.img: what was cleared is lost\nINFO: {4}cleared\.img: mended\nINFO: {4}cleared\.img is whole\n$/,
    ),
  })
})

test('a superblock that is lost is taken from its copy', () => {
  const path = damaged('headless.img', '768', [])
  const fd = openSync(path, 'r+')
  writeSync(fd, Buffer.alloc(1024), 0, 1024, 1024)
  closeSync(fd)
  expect(check('headless.img')).toMatchObject({
    code: 255,
    stderr: expect.stringContaining('headless.img: its superblock is lost, of which there is a copy\n'),
  })
  expect(check('--repair', 'headless.img')).toMatchObject({ code: 0 })
  const read = bench.lamina(['exec', '-o', 'headless.img', bench.image, 'cat', '/foo'], { cwd: bench.dir })
  expect(read.stdout).toBe('kept\n')
})

test('of a journal that is not looked at it is told once, and of nothing that e2fsck only asks', () => {
  damaged('unclean.img', '64', ['feature needs_recovery', 'clri /upper/foo'])
  const { stderr } = check('unclean.img')
  expect(stderr).toMatch(
    /^INFO: {4}unclean\.img: was not cleanly unmounted: what is in its journal is not looked at\nINFO: {4}Entry/,
  )
  expect(stderr).not.toMatch(/skipping|\? no|e2fsck/)
})

describe('of a badly damaged one', () => {
  const spoil = (path: string, from: number, blocks: number): void => {
    const fd = openSync(path, 'r+')
    writeSync(fd, Buffer.alloc(blocks * 4096, 0xa5), 0, blocks * 4096, from * 4096)
    closeSync(fd)
  }
  const lines = (stderr: string): number => stderr.split('\n').length - 1

  test('a check tells a couple of dozen lines, and what to do', () => {
    // The block of the group descriptors, and some of the inodes'.
    const path = damaged('bad.img', '64', [])
    spoil(path, 1, 1)
    const { code, stderr } = check('bad.img')
    expect(code).toBe(255)
    expect(lines(stderr)).toBeLessThan(28)
    expect(stderr).toMatch(/^INFO: {4}\(of e2fsck's lines \d+ or more are left out\)\nFATAL: /m)
    expect(stderr).toMatch(/lamina overlay check --repair bad\.img mends what it safely can\n$/)
    expect(stderr).not.toContain('/proc/')
  })

  test('a repair that cannot mend it says what works', () => {
    const path = damaged('worse.img', '64', ['clri /upper', 'clri /lost+found', 'clri <2>'])
    expect(check('worse.img').stderr).toMatch(/has errors: lamina overlay check --repair worse\.img/)
    const { code, stderr } = check('--repair', 'worse.img')
    expect(code).toBe(255)
    expect(stderr).toContain(
      `FATAL:   worse.img has errors that e2fsck -p does not mend: restore it from a backup; without one, cp worse.img worse.img.copy and e2fsck -f -y worse.img.copy, which mends it at the price of files; debugfs -c -R 'rdump /upper DIRECTORY' worse.img reads what can still be read\n`,
    )
    expect(lines(stderr)).toBeLessThan(28)
    const byHand = 'cp worse.img worse.img.copy; e2fsck -f -y worse.img.copy >/dev/null'
    expect(spawnSync('sh', ['-c', byHand], { cwd: bench.dir }).status).toBe(1)
    isWhole(`${path}.copy`)
  })

  test('its files can still be read by hand', () => {
    const path = damaged('bitmaps.img', '64', ['set_bg 0 block_bitmap 4000000000'])
    expect(check('--repair', 'bitmaps.img').stderr).toContain("debugfs -c -R 'rdump /upper DIRECTORY' bitmaps.img")
    mkdirSync(join(bench.dir, 'rescued'))
    execFileSync('debugfs', ['-c', '-R', 'rdump /upper rescued', path], { cwd: bench.dir, stdio: 'pipe' })
    expect(readFileSync(join(bench.dir, 'rescued/upper/foo'), 'utf8')).toBe('kept\n')
  })
})

test('an overlay whose files are gone is not called whole', () => {
  damaged('bare.img', '64', ['rm /upper/foo', 'rmdir /upper', 'write /dev/null lamina.json'])
  const told = /^FATAL: {3}bare\.img: its file system is whole, but has no upper\/, where its files were: .*lost\+found/
  expect(check('bare.img')).toMatchObject({ code: 255, stderr: expect.stringMatching(told) })
})

test('a command that has an overlay is named, too', async () => {
  bench.lamina(['overlay', 'create', 'held.img'], { cwd: bench.dir })
  const args = ['exec', '-o', 'held.img', bench.image, 'sh', '-c', 'echo up; exec sleep 60']
  const holder = spawn(bench.launcher, args, { env: bench.env, cwd: bench.dir })
  await once(holder.stdout, 'data')
  expect(bench.lamina(['overlay', 'resize', 'held.img', '1G'], { cwd: bench.dir })).toMatchObject({
    code: 255,
    stderr: `FATAL:   held.img is in use by process ${holder.pid} (sleep): end that first\n`,
  })
  holder.kill('SIGKILL')
  await once(holder, 'exit')
})

test('overlays of a directory are listed, and nothing else in it', () => {
  const dir = join(bench.dir, 'many')
  execFileSync('mkdir', [dir])
  writeFileSync(join(dir, 'text'), 'no overlay\n')
  for (const name of ['a.img', 'b.img']) bench.lamina(['overlay', 'create', join(dir, name)])
  expect(bench.lamina(['overlay', 'ls'], { cwd: dir }).stdout).toMatch(
    /^FILE +SIZE +USED +STATE +HOLDER\na\.img +64 MiB .*\nb\.img .*\n$/,
  )
  const usage = z.object({ overlays: z.array(z.object({ file: z.string(), capacityBytes: z.number() })) })
  for (const json of [['--json'], ['-o', 'json']]) {
    const { overlays } = usage.parse(JSON.parse(bench.lamina(['overlay', 'du', ...json, dir]).stdout))
    expect(overlays).toEqual(['a.img', 'b.img'].map((name) => ({ file: join(dir, name), capacityBytes: 64 * 2 ** 20 })))
  }
})

test("who has a file's lock is read from /proc/locks", () => {
  const locks = '1: POSIX  ADVISORY  WRITE 11 08:01:7 0 EOF\n2: FLOCK  ADVISORY  WRITE 12 103:0a:7 0 EOF\n'
  expect(lockerIn(locks, { dev: (0x103 << 8) | 0x0a, ino: 7 })).toBe(12)
  expect(lockerIn(locks, { dev: (8 << 8) | 1, ino: 7 })).toBeUndefined()
})
