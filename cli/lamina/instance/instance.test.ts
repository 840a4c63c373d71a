import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test, vi } from 'vitest'
import * as z from 'zod'
import { makeExt3 } from '../../../test/node/images.ts'
import { useCliBench } from '../testing/bench.ts'
import { escapeFromChroot } from '../testing/escape.ts'
import { processesWith } from '../testing/processes.ts'

const bench = await useCliBench()
afterEach(() => void bench.lamina(['instance', 'stop', '--all', '--force']))

const listSchema = z.object({
  instances: z.array(z.object({ instance: z.string(), pid: z.number(), img: z.string(), logOutPath: z.string() })),
})
const list = () => listSchema.parse(JSON.parse(bench.lamina(['instance', 'list', '--json']).stdout)).instances
const names = (): string[] => list().map(({ instance }) => instance)
const start = (name: string, ...options: string[]) => bench.lamina(['instance', 'start', ...options, bench.image, name])
const inside = (name: string, script: string) => bench.lamina(['exec', `instance://${name}`, 'sh', '-c', script])

test('runs until it is stopped, with its overlay, which then is free and has all', () => {
  const work = makeExt3(join(bench.dir, 'work.img'))
  expect(start('one', '-o', work)).toMatchObject({ code: 0 })
  expect(names()).toEqual(['one'])
  expect(inside('one', 'echo kept > /foo; exit 4')).toMatchObject({ code: 4 })
  expect(bench.lamina(['exec', '-o', work, bench.image, 'true'])).toMatchObject({ code: 255 })
  expect(bench.lamina(['instance', 'stop', 'one'])).toMatchObject({ code: 0 })
  expect(names()).toEqual([])
  expect(bench.lamina(['exec', '-o', work, bench.image, 'cat', '/foo'])).toMatchObject({ code: 0, stdout: 'kept\n' })
})

test('has processes of its own, which all end with it', () => {
  start('one')
  inside('one', 'sleep 4321 >/dev/null 2>&1 &')
  expect(inside('one', 'ps').stdout).toMatch(/^ +1 root +\/\.lamina\/init -P$/m)
  expect(bench.lamina(['instance', 'stats', 'one']).stdout).toMatch(/^one +\d+\.\d\d s +\d+ MiB +2$/m)
  bench.lamina(['stop', 'one'])
  expect(processesWith(bench.dir)).toEqual([])
})

test('whose start is cut off is none', async () => {
  const work = makeExt3(join(bench.dir, 'cut-off.img'))
  const slow = join(bench.dir, 'slow')
  mkdirSync(slow)
  writeFileSync(join(slow, 'unshare'), '#!/bin/sh\nsleep 0.5\nexec /usr/bin/unshare "$@"\n', { mode: 0o755 })
  const env = { ...bench.env, PATH: `${slow}:${bench.env.PATH}` }
  const starter = spawn(bench.launcher, ['start', '-o', work, bench.image, 'one'], { env, stdio: 'ignore' })
  await vi.waitFor(() => expect(processesWith(`${slow}/unshare`)).toHaveLength(1), 10_000)
  starter.kill('SIGINT')
  await once(starter, 'exit')
  await vi.waitFor(() => expect(processesWith(bench.dir)).toEqual([]), 10_000)
  expect(names()).toEqual([])
  expect(start('one', '-o', work)).toMatchObject({ code: 0 })
})

test('has its environment only in its root, where nothing is made for it, and that is the root of all who enter', async () => {
  const dir = join(bench.dir, 'with-environment')
  execFileSync('cp', ['-a', bench.sandbox, dir])
  mkdirSync(join(dir, '.singularity.d'))
  writeFileSync(join(dir, '.singularity.d/lamina.json'), JSON.stringify({ env: ['PATH=/bin', 'LD_PRELOAD=/nope.so'] }))
  const script = '#!/bin/busybox sh\necho "$PATH $LD_PRELOAD"\nexec sleep 1000\n'
  writeFileSync(join(dir, '.singularity.d/startscript'), script, { mode: 0o755 })
  expect(bench.lamina(['start', '--no-mount', 'dev', dir, 'one'])).toMatchObject({ code: 0 })
  await vi.waitFor(() => expect(bench.lamina(['logs', 'one'])).toMatchObject({ stdout: '/bin /nope.so\n', stderr: '' }))
  expect(inside('one', 'ls /dev').stdout).toBe('')
  expect(inside('one', escapeFromChroot).stdout).toBe('jail\n')
})

test('has no name that looks like an option', () => {
  expect(bench.lamina(['start', bench.image, '--', '-x'])).toMatchObject({ code: 255 })
  expect(names()).toEqual([])
})

test('is stopped though others that are named are none', () => {
  for (const name of ['one', 'two']) start(name)
  expect(bench.lamina(['stop', '--all', 'one'])).toMatchObject({ code: 255 })
  expect(names()).toEqual(['one', 'two'])
  expect(bench.lamina(['stop', 'nope', 'one', 'two', 'neither'])).toMatchObject({
    code: 255,
    stderr: expect.stringMatching(/no instance found with name nope: .*\nno instance found with name neither: /),
  })
  expect(names()).toEqual([])
})

test('is listed to nobody without a complaint', () => {
  const script = `"$0" ps | true; echo "\${PIPESTATUS[0]}"`
  const { stdout, stderr } = spawnSync('bash', ['-c', script, bench.launcher], { env: bench.env, encoding: 'utf8' })
  expect({ stdout, stderr }).toEqual({ stdout: '141\n', stderr: '' })
})

test('of a name is there once; another start says so', () => {
  start('one')
  expect(start('one')).toMatchObject({ code: 255, stderr: expect.stringMatching(/instance one already exists/) })
  expect(start('two')).toMatchObject({ code: 0 })
  expect(names()).toEqual(['one', 'two'])
  expect(bench.lamina(['ps']).stdout).toMatch(/^INSTANCE NAME +PID +IP +IMAGE\none +\d+ +\S+\ntwo /)
})

test('has the words of 2.4, and those of the other command line', () => {
  expect(bench.lamina(['instance.start', bench.image, 'old'])).toMatchObject({ code: 0 })
  expect(bench.lamina(['start', bench.image, 'new'])).toMatchObject({ code: 0 })
  const listed = bench.lamina(['instance.list']).stdout
  expect(listed).toMatch(/^new .*\nold /m)
  expect(bench.lamina(['ps']).stdout).toBe(listed)
  for (const words of [
    ['instance.stop', 'old'],
    ['stop', 'new'],
  ])
    expect(bench.lamina(words)).toMatchObject({ code: 0 })
  expect(names()).toEqual([])
})

test('that was killed is not listed, and its name is free', async () => {
  start('ghost')
  const [ghost] = list()
  process.kill(ghost?.pid ?? 0, 'SIGKILL')
  await vi.waitFor(() => expect(names()).toEqual([]))
  expect(start('ghost')).toMatchObject({ code: 0 })
})

test('whose record names a process that is another now is none', () => {
  start('old')
  const path = join(bench.dir, 'state/instances/old.json')
  const record: unknown = JSON.parse(readFileSync(path, 'utf8'))
  bench.lamina(['stop', 'old'])
  expect(existsSync(path)).toBe(false)
  writeFileSync(path, JSON.stringify(Object.assign({}, record, { pid: process.pid })))
  expect(names()).toEqual([])
})

test('ten start at once, and all are stopped', async () => {
  const children = Array.from({ length: 10 }, (_, index) =>
    spawn(bench.launcher, ['instance', 'start', bench.image, `many-${index}`], { env: bench.env, stdio: 'ignore' }),
  )
  for (const child of children) if (child.exitCode === null) await once(child, 'exit')
  expect(names()).toHaveLength(10)
  expect(bench.lamina(['instance', 'stop', '--all'])).toMatchObject({ code: 0 })
  expect(names()).toEqual([])
})

test('tells what its startscript prints: all, the last lines, and on until it ends', async () => {
  const dir = join(bench.dir, 'talks')
  execFileSync('cp', ['-a', bench.sandbox, dir])
  mkdirSync(join(dir, '.singularity.d'))
  const script =
    '#!/bin/sh\ntrap "echo bye; exit" TERM\necho one; echo two; echo wrong >&2; echo three\nwhile :; do sleep 0.1; done\n'
  writeFileSync(join(dir, '.singularity.d/startscript'), script, { mode: 0o755 })
  bench.lamina(['instance', 'start', dir, 'talks'])
  const all = { code: 0, stdout: 'one\ntwo\nthree\n', stderr: 'wrong\n' }
  await vi.waitFor(() => expect(bench.lamina(['logs', 'talks'])).toMatchObject(all))
  expect(bench.lamina(['instance', 'logs', '--tail', '2', 'talks'])).toMatchObject({ stdout: 'two\nthree\n' })
  expect(bench.lamina(['logs', '--tail', '0', 'talks'])).toMatchObject({ stdout: '', stderr: '' })
  const follower = spawn(bench.launcher, ['logs', '-f', '--tail', '1', 'talks'], { env: bench.env })
  let followed = ''
  follower.stdout.setEncoding('utf8').on('data', (text: string) => {
    followed += text
  })
  await vi.waitFor(() => expect(followed).toBe('three\n'), 10_000)
  bench.lamina(['stop', 'talks'])
  await once(follower, 'close')
  expect(followed).toBe('three\nbye\n')
  expect(bench.lamina(['logs', 'talks'])).toMatchObject({ stdout: 'one\ntwo\nthree\nbye\n' })
})

test('leaves no locks of files that are not mounted any more, but for what is quite new', () => {
  const locks = join(bench.dir, 'state/locks')
  const [old, recent] = [join(locks, 'old'), join(locks, 'new')]
  mkdirSync(locks, { recursive: true })
  for (const path of [old, recent]) writeFileSync(path, '')
  utimesSync(old, new Date(0), new Date(0))
  bench.lamina(['ps'])
  expect([existsSync(old), existsSync(recent)]).toEqual([false, true])
})

test('that could not be written down leaves nothing that is listed', () => {
  const records = join(bench.dir, 'state/instances')
  mkdirSync(records, { recursive: true })
  writeFileSync(join(records, 'torn.json'), '')
  expect(names()).toEqual([])
  expect(existsSync(join(records, 'torn.json'))).toBe(false)
})

test('runs its startscript, whose output is kept; what does not heed the signal is killed', async () => {
  const dir = join(bench.dir, 'started')
  execFileSync('cp', ['-a', bench.sandbox, dir])
  mkdirSync(join(dir, '.singularity.d'))
  const script = '#!/bin/sh\ntrap "" TERM\necho "started $1"\nwhile :; do sleep 0.1; done\n'
  writeFileSync(join(dir, '.singularity.d/startscript'), script, { mode: 0o755 })
  expect(bench.lamina(['instance', 'start', dir, 'service', 'me'])).toMatchObject({ code: 0 })
  const [service] = list()
  await vi.waitFor(() => expect(readFileSync(service?.logOutPath ?? '', 'utf8')).toBe('started me\n'))
  const before = performance.now()
  expect(bench.lamina(['instance', 'stop', '--timeout', '1', 'service'])).toMatchObject({ code: 0 })
  expect(performance.now() - before).toBeGreaterThan(900)
  expect(names()).toEqual([])
})
