import { execFileSync, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, test, vi } from 'vitest'
import * as z from 'zod'
import { account, useCliBench } from '../testing/bench.ts'

const bench = await useCliBench()
afterEach(() => void bench.asUser(['instance', 'stop', '--all', '--force']))

const listSchema = z.object({ instances: z.array(z.object({ instance: z.string(), pid: z.number() })) })
const list = () => {
  const { stdout, stderr } = bench.asUser(['ps', '--json'])
  expect(stderr).toBe('')
  return listSchema.parse(JSON.parse(stdout)).instances
}
const names = (): string[] => list().map(({ instance }) => instance)
const start = (name: string, ...options: string[]) => bench.asUser(['instance', 'start', ...options, bench.image, name])
const inside = (name: string, script: string) => bench.asUser(['exec', `instance://${name}`, 'sh', '-c', script])

/** Of the account's processes those of the name, or all; or those that one has started. */
const processes = (name = '.', ...whose: string[]): number[] =>
  spawnSync('ps', [...(whose.length > 0 ? whose : ['-u', String(account)]), '-o', 'pid=,stat=,comm='], {
    encoding: 'utf8',
  })
    .stdout.split('\n')
    .flatMap((line) => {
      const [pid, state, command] = line.trim().split(/\s+/)
      return pid && command && !state?.startsWith('Z') && new RegExp(name).test(command) ? [Number(pid)] : []
    })
const nothingRuns = () => vi.waitFor(() => expect(processes()).toEqual([]), 10_000)
const recordFiles = (): string[] =>
  readdirSync(join(bench.userHome, 'state/instances')).filter((file) => file.endsWith('.json'))

let count = 0
const overlay = (...options: string[]): string => {
  const name = `overlay-${count++}.img`
  expect(bench.asUser(['overlay', 'create', ...options, name])).toMatchObject({ code: 0, stderr: '' })
  return name
}

describe("an ordinary user's instance", () => {
  test('says in its log what of a full overlay may be lost', async () => {
    const work = overlay()
    expect(start('full', '-o', work)).toMatchObject({ code: 0 })
    inside('full', 'dd if=/dev/zero of=/full bs=64k count=2000')
    expect(bench.asUser(['stop', 'full'])).toMatchObject({ code: 0 })
    const line = `WARNING: overlay ${work} is full: what was written last may be lost; lamina overlay resize ${work} SIZE makes it larger\n`
    await vi.waitFor(() => expect(bench.asUser(['logs', 'full']).stderr).toBe(line))
    await nothingRuns()
  })

  test('runs until it is stopped, with its overlay, which then is free, whole and has all', async () => {
    const work = overlay()
    expect(start('one', '-o', work)).toMatchObject({ code: 0, stderr: 'INFO:    instance started successfully\n' })
    expect(names()).toEqual(['one'])
    expect(inside('one', 'echo kept > /foo; exit 4')).toMatchObject({ code: 4 })
    expect(bench.asUser(['exec', '-o', work, bench.image, 'true'])).toMatchObject({ code: 255 })
    expect(bench.asUser(['stats', 'one']).stdout).toMatch(/^one +\d+\.\d\d s +\d+ MiB +1$/m)
    expect(bench.asUser(['instance', 'stop', 'one'])).toMatchObject({ code: 0 })
    expect(names()).toEqual([])
    expect(bench.asUser(['exec', '-o', work, bench.image, 'cat', '/foo'])).toMatchObject({ code: 0, stdout: 'kept\n' })
    execFileSync('e2fsck', ['-fn', join(bench.userHome, work)], { stdio: 'pipe' })
    await nothingRuns()
    expect(recordFiles()).toEqual([])
  })

  test('has processes of its own, as himself and without capabilities, which all end with it', async () => {
    start('one')
    inside('one', 'sleep 4321 >/dev/null 2>&1 &')
    const { stdout } = inside('one', 'ps; id -u; grep CapEff /proc/self/status')
    expect(stdout).toMatch(/^ +1 \S+ +\/\.lamina\/init -P$/m)
    expect(stdout).toMatch(/sleep 4321\n/)
    expect(stdout).toContain(`\n${account}\nCapEff:\t0000000000000000\n`)
    bench.asUser(['stop', 'one'])
    await nothingRuns()
  })

  test('with --fakeroot and a range of ids has all of them, for who enters too', () => {
    const options = { range: true }
    const work = overlay('--fakeroot')
    expect(bench.asUser(['start', '-f', '-o', work, bench.image, 'root'], options)).toMatchObject({ code: 0 })
    const script = 'touch /of-42; busybox chown 42:43 /of-42; stat -c %u:%g /of-42; id -u'
    const entered = bench.asUser(['exec', 'instance://root', 'sh', '-c', script], options)
    expect(entered).toMatchObject({ code: 0, stdout: '42:43\n0\n' })
  })

  test('runs its startscript, whose output is kept, and which a signal reaches', async () => {
    const dir = join(bench.dir, 'started')
    execFileSync('cp', ['-a', bench.sandbox, dir])
    mkdirSync(join(dir, '.singularity.d'))
    const script = '#!/bin/sh\ntrap "echo bye; exit" TERM\necho "started $1 $TOKEN"\nwhile :; do sleep 0.1; done\n'
    writeFileSync(join(dir, '.singularity.d/startscript'), script, { mode: 0o755 })
    const env = { TOKEN: `secret-${account}` }
    expect(bench.asUser(['instance', 'start', dir, 'service', 'me'], { env })).toMatchObject({ code: 0 })
    const log = join(bench.userHome, 'state/instances/service.out')
    await vi.waitFor(() => expect(readFileSync(log, 'utf8')).toBe(`started me ${env.TOKEN}\n`))
    // What stands there, all users of the machine may read.
    expect(
      processes()
        .map((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8'))
        .join('\n'),
    ).not.toContain(env.TOKEN)
    expect(bench.asUser(['stop', 'service'])).toMatchObject({ code: 0 })
    expect(bench.asUser(['logs', 'service'])).toMatchObject({ code: 0, stdout: `started me ${env.TOKEN}\nbye\n` })
    await nothingRuns()
  })

  test('that cannot start says why, and leaves nothing', async () => {
    expect(start('one', '-o', 'nope.img')).toMatchObject({
      code: 255,
      stderr: 'FATAL:   could not open overlay nope.img: no such file or directory\n',
    })
    start('one')
    expect(start('one')).toMatchObject({ code: 255, stderr: expect.stringMatching(/instance one already exists/) })
    bench.asUser(['stop', 'one'])
    await nothingRuns()
  })
})

describe('nothing is left', () => {
  test.each([
    ['its init', '^init$'],
    ['what keeps it', '^node'],
    ['what stands before its init', '^unshare$'],
  ])('of an instance when %s is killed, and its name and overlay are free', async (_, victim) => {
    const work = overlay()
    start('one', '-o', work)
    for (const pid of processes(victim)) process.kill(pid, 'SIGKILL')
    await nothingRuns()
    expect(names()).toEqual([])
    expect(recordFiles()).toEqual([])
    expect(start('one', '-o', work)).toMatchObject({ code: 0 })
  })

  test('of a start that is killed at any moment, unless it had got through', async () => {
    const work = overlay()
    for (let after = 0; after <= 480; after += 40) {
      const starter = bench.spawnAsUser(['instance', 'start', '-o', work, bench.image, 'late'])
      const ended = once(starter, 'exit')
      await sleep(after)
      starter.kill('SIGKILL')
      await ended
      await vi.waitFor(() => expect(processes('init').length === 1 || processes().length === 0).toBe(true), 10_000)
      if (names().length > 0) expect(bench.asUser(['stop', 'late'])).toMatchObject({ code: 0 })
      await nothingRuns()
      expect(names()).toEqual([])
      expect(recordFiles()).toEqual([])
    }
    expect(bench.asUser(['exec', '-o', work, bench.image, 'true'])).toMatchObject({ code: 0 })
  })

  test('of a keeper that is killed while it starts one', async () => {
    const work = overlay()
    for (let after = 60; after <= 300; after += 40) {
      const starter = bench.spawnAsUser(['instance', 'start', '-o', work, bench.image, 'late'])
      const ended = once(starter, 'exit')
      await sleep(after)
      const keepers = processes('.', '--ppid', String(starter.pid))
      for (const pid of keepers) process.kill(pid, 'SIGKILL')
      await ended
      // It may not have been there yet.
      if (keepers.length === 0) bench.asUser(['stop', 'late'])
      else expect(names()).toEqual([])
      await nothingRuns()
    }
  })
})

test('another user does not reach it', () => {
  start('one')
  chmodSync(bench.userHome, 0o755)
  const other = { uid: account + 1, env: { HOME: '/' } }
  for (const words of [
    ['ps'],
    ['stop', '--all'],
    ['stop', 'one'],
    ['exec', 'instance://one', 'true'],
    ['stats', 'one'],
  ])
    expect(bench.asUser(words, other)).toMatchObject({
      code: 255,
      stderr: expect.stringMatching(/ that you alone can write: set XDG_RUNTIME_DIR/),
    })
  expect(bench.asUser(['ps'], { ...other, env: { HOME: '/', LAMINA_STATE_DIR: '/nonexistent' } }).stdout).not.toContain(
    'one',
  )
  expect(bench.lamina(['ps']).stdout).not.toContain('one')
  expect(names()).toEqual(['one'])
})
