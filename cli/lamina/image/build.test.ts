import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { archive, directory, file, symlink } from '../../../runtime-shim/image/testing/archive.ts'
import { writeImageDirectory } from '../../../runtime-shim/image/testing/image.ts'
import { startRegistry, type TestRegistry } from '../../../runtime-shim/image/testing/registry.ts'
import { packSquashfs } from '../../../test/node/images.ts'
import { useCliBench } from '../testing/bench.ts'

const bench = await useCliBench()
let registry: TestRegistry
let env: NodeJS.ProcessEnv
beforeAll(async () => {
  registry = await startRegistry()
  const layer = archive(
    directory('bin'),
    file('bin/busybox', readFileSync('/bin/busybox'), { mode: 0o755 }),
    ...['sh', 'echo', 'cat'].map((name) => symlink(`bin/${name}`, 'busybox')),
  )
  const config = { Entrypoint: ['/bin/echo', "it's"], Cmd: ['usual'], Env: ['PATH=/bin', 'COLOUR=deep blue'] }
  const dir = join(bench.dir, 'image')
  await writeImageDirectory(dir, [{ archive: layer }], { config })
  await registry.push(dir, 'tool:1')
  const skopeo = (to: string) => execFileSync('skopeo', ['copy', '--quiet', `dir:${dir}`, to], { stdio: 'pipe' })
  skopeo(`docker-archive:${bench.dir}/tool.tar:tool:1`)
  skopeo(`oci:${bench.dir}/layout:latest`)
  skopeo(`oci-archive:${bench.dir}/oci.tar`)
  // Where `docker login` would leave it.
  const auth = join(bench.dir, 'auth.json')
  execFileSync('sh', ['-c', 'cat > "$0"', auth], { input: registry.dockerConfig })
  env = { HOME: registry.home, REGISTRY_AUTH_FILE: auth }
}, 60_000)
afterAll(() => registry.stop())

const build = (source: string, name: string, ...options: string[]) =>
  bench.lamina(['build', ...options, name, source], { cwd: bench.dir, env })

describe('an image of', () => {
  test.each([
    ['a registry', () => `docker://${registry.host}/tool:1`],
    ['an archive of docker save', () => 'docker-archive:tool.tar'],
    ['an OCI layout', () => 'oci:layout:latest'],
    ['an OCI archive', () => 'oci-archive:oci.tar'],
  ])('%s has its entrypoint, its command and its environment', (name, source) => {
    const out = `${name.replaceAll(' ', '-')}.sqfs`
    expect(build(source(), out)).toMatchObject({ code: 0, stderr: expect.stringMatching(/Build complete/) })
    const lamina = (...args: string[]) => bench.lamina(args, { cwd: bench.dir }).stdout
    expect(lamina('run', out)).toBe("it's usual\n")
    expect(lamina('run', out, 'given')).toBe("it's given\n")
    expect(lamina('exec', out, 'sh', '-c', 'echo $PATH $COLOUR')).toBe('/bin deep blue\n')
    // As Apptainer would run it.
    expect(lamina('exec', out, '/.singularity.d/runscript')).toBe("it's usual\n")
    const script = '. /.singularity.d/env/10-docker2singularity.sh; echo $COLOUR'
    expect(lamina('exec', '--env', 'COLOUR=none', out, 'sh', '-c', script)).toBe('deep blue\n')
  })

  test('a directory has all that is in it', () => {
    expect(build('sandbox', 'dir.sqfs')).toMatchObject({ code: 0 })
    expect(bench.lamina(['exec', join(bench.dir, 'dir.sqfs'), 'cat', '/etc/group']).stdout).toBe('root:x:0:\n')
  })
})

test('docker:// is made once, and found again by its digest', () => {
  const image = `docker://${registry.host}/tool:1`
  const first = bench.lamina(['run', image], { env })
  expect(first).toMatchObject({ code: 0, stdout: "it's usual\n" })
  expect(first.stderr).toMatch(/making a squashfs/)
  expect(bench.lamina(['run', image], { env })).toEqual({ ...first, stderr: '' })
  expect(readdirSync(join(bench.dir, 'cache'))).toEqual([expect.stringMatching(/^sha256-[0-9a-f]{64}\.sqfs$/)])
})

test('what cannot be had is told, and leaves nothing', () => {
  const none = build(`docker://${registry.host}/tool:none`, 'none.sqfs')
  expect(none).toMatchObject({
    code: 255,
    stderr: expect.stringMatching(/tool:none is not in the registry .*: check its name and tag\n$/),
  })
  const unknown = bench.lamina(['run', `docker://${registry.host}/tool:1`], {
    env: { HOME: registry.home, LAMINA_CACHEDIR: join(bench.dir, 'other') },
  })
  expect(unknown.stderr).toMatch(/log in with docker login or skopeo login/)
  expect(existsSync(join(bench.dir, 'none.sqfs'))).toBe(false)
  expect(readdirSync(bench.dir).filter((name) => name.startsWith('.'))).toEqual([])
})

test('what the terminal ends by going leaves nothing', async () => {
  const slow = join(bench.dir, 'slow')
  mkdirSync(slow)
  writeFileSync(join(slow, 'gensquashfs'), '#!/bin/sh\nfor out; do :; done\n: >"$out"\nexec sleep 60\n', {
    mode: 0o755,
  })
  const child = spawn(bench.launcher, ['build', 'late.sqfs', 'sandbox'], {
    cwd: bench.dir,
    env: { ...bench.env, PATH: `${slow}:${bench.env.PATH}` },
    stdio: 'ignore',
  })
  const stagings = (): string[] => readdirSync(bench.dir).filter((name) => name.startsWith('.'))
  await vi.waitFor(() => expect(stagings()).toHaveLength(1), 10_000)
  child.kill('SIGHUP')
  expect(await once(child, 'exit')).toEqual([129, null])
  expect(stagings()).toEqual([])
})

test('an image does not become part of itself, nor goes where a link leads nowhere', () => {
  const target = join(bench.dir, 'sandbox/own.sqfs')
  expect(build('sandbox', target)).toMatchObject({ code: 255, stderr: expect.stringMatching(/give another place\n$/) })
  symlinkSync('/nowhere', join(bench.dir, 'link.sqfs'))
  expect(build('sandbox', 'link.sqfs')).toMatchObject({
    code: 255,
    stderr: expect.stringMatching(/link\.sqfs already exists: remove it, or use --force\n$/),
  })
})

test('where one may not write is told in a line', () => {
  expect(bench.asUser(['build', join(bench.dir, 'his.sqfs'), bench.sandbox])).toMatchObject({
    code: 255,
    stderr: `FATAL:   could not write ${bench.dir}/his.sqfs: permission denied\n`,
  })
})

test('the longest name that a file can have is no hindrance', () => {
  const name = `${'n'.repeat(250)}.sqfs`
  expect(build('sandbox', name)).toMatchObject({ code: 0 })
  expect(build('sandbox', `n${name}`)).toMatchObject({
    code: 255,
    stderr: expect.stringMatching(/its name is too long: give a shorter one\n$/),
  })
})

test('a file that is there is replaced only with --force', () => {
  mkdirSync(join(bench.dir, 'tiny/bin'), { recursive: true })
  packSquashfs(join(bench.dir, 'there.sqfs'), join(bench.dir, 'tiny'))
  expect(build('sandbox', 'there.sqfs')).toMatchObject({ code: 255 })
  expect(build('sandbox', 'there.sqfs', '--force')).toMatchObject({ code: 0 })
  expect(bench.lamina(['exec', join(bench.dir, 'there.sqfs'), 'true'])).toMatchObject({ code: 0 })
})
