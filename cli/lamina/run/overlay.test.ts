import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { makeSquashfs } from '../../../test/node/images.ts'
import { useCliBench } from '../testing/bench.ts'
import { expectNothingLeft } from '../testing/nothing-left.ts'

const bench = await useCliBench()

const fixtures = join(import.meta.dirname, '../../../test/fixtures')
const sh = (script: string, ...options: string[]) => bench.lamina(['exec', ...options, bench.image, 'sh', '-c', script])

let count = 0
const overlay = (): string => {
  const path = join(bench.dir, `overlay-${count++}.img`)
  expect(bench.lamina(['overlay', 'create', path])).toMatchObject({ code: 0, stderr: '' })
  return path
}

describe('an overlay', () => {
  test('keeps what is written, changed and removed, until it is left out', () => {
    const work = overlay()
    sh('echo new > /foo; rm /etc/group; echo more >> /etc/passwd', '-o', work)
    const look = 'cat /foo; ls /etc/group; cat /etc/passwd'
    expect(sh(look, '--overlay', work).stdout).toBe('new\nroot:x:0:0:root:/root:/bin/sh\nmore\n')
    expect(sh(look)).toMatchObject({ stdout: '/etc/group\nroot:x:0:0:root:/root:/bin/sh\n', code: 0 })
  })

  test('is free as soon as the command has ended, again and again', () => {
    const work = overlay()
    for (let turn = 0; turn < 10; turn++)
      expect(sh('echo x >> /count', '-o', work)).toMatchObject({ code: 0, stderr: '' })
    expect(sh('wc -l < /count', '-o', work).stdout.trim()).toBe('10')
  })

  test('is held by one writer, or by readers', async () => {
    const work = overlay()
    sh('echo kept > /foo', '-o', work)
    const holder = spawn(bench.launcher, ['exec', '-o', work, bench.image, 'sh', '-c', 'echo up; exec sleep 60'], {
      env: bench.env,
    })
    await once(holder.stdout, 'data')
    expect(sh('true', '-o', work)).toMatchObject({
      code: 255,
      stderr: `FATAL:   can't open ${work} for writing, currently in use by another process\n`,
    })
    expect(sh('true', '-o', `${work}:ro`)).toMatchObject({
      code: 255,
      stderr: `FATAL:   can't open ${work} for reading, currently in use for writing by another process\n`,
    })
    holder.kill('SIGKILL')
    await once(holder, 'exit')
    const reader = spawn(
      bench.launcher,
      ['exec', '-o', `${work}:ro`, bench.image, 'sh', '-c', 'cat /foo; exec sleep 60'],
      {
        env: bench.env,
      },
    )
    expect(String(await once(reader.stdout, 'data'))).toBe('kept\n')
    expect(sh('cat /foo; echo own > /foo', '-o', `${work}:ro`)).toMatchObject({ code: 0, stdout: 'kept\n' })
    reader.kill('SIGKILL')
    await once(reader, 'exit')
    expect(sh('cat /foo', '-o', work).stdout).toBe('kept\n')
  })

  test('can be a squashfs, a directory that is read, and a directory that is written', () => {
    writeFileSync(join(bench.dir, 'text'), 'from squashfs\n')
    const entries = ['dir / 0755 0 0', `file /tool 0644 0 0 ${join(bench.dir, 'text')}`]
    const squashfs = makeSquashfs(join(bench.dir, 'tool.sqfs'), entries)
    const [read, written] = [join(bench.dir, 'read'), join(bench.dir, 'written')]
    for (const dir of [read, written]) mkdirSync(dir)
    writeFileSync(join(read, 'other'), 'from directory\n')
    const options = ['-o', squashfs, '-o', `${read}:ro`, '-o', written]
    expect(sh('cat /tool /other; echo mine > /mine', ...options)).toMatchObject({
      stdout: 'from squashfs\nfrom directory\n',
    })
    expect(sh('cat /mine', '-o', written).stdout).toBe('mine\n')
    expect(existsSync(join(written, 'upper/mine'))).toBe(true)
  })

  test('that Apptainer wrote is read and written', () => {
    const work = join(bench.dir, 'apptainer.img')
    execFileSync('zstd', ['-dqo', work, join(fixtures, 'apptainer-overlay.img.zst')])
    const hello = ['exec', '-o', work, join(fixtures, 'minimal.sif'), 'hello', '/opt/tool/only']
    expect(bench.lamina(hello)).toMatchObject({ code: 0 })
  })

  test('of 2.4 is made by image.create, with 768 MiB', () => {
    const path = join(bench.dir, 'old.img')
    expect(bench.lamina(['image.create', '--sparse', path])).toMatchObject({ code: 0 })
    expect(execFileSync('stat', ['-c', '%s %a', path], { encoding: 'utf8' })).toBe(`${768 * 2 ** 20} 600\n`)
  })

  test('is made with directories, is all there unless it is sparse, and replaces nothing', () => {
    const [path, sparse] = [join(bench.dir, 'full.img'), join(bench.dir, 'sparse.img')]
    const create = ['overlay', 'create', '--size', '65', '--create-dir', '/opt/mine', '--create-dir', '/srv']
    expect(bench.lamina([...create, path])).toMatchObject({ code: 0 })
    expect(bench.lamina(['overlay', 'create', '--sparse', sparse])).toMatchObject({ code: 0 })
    const blocks = (file: string) => Number(execFileSync('stat', ['-c', '%b', file], { encoding: 'utf8' })) * 512
    expect(blocks(path)).toBeGreaterThanOrEqual(65 * 2 ** 20)
    expect(blocks(sparse)).toBeLessThan(8 * 2 ** 20)
    expect(sh('ls -d /opt/mine /srv', '-o', path).stdout).toBe('/opt/mine\n/srv\n')
    execFileSync('e2fsck', ['-fn', path], { stdio: 'pipe' })
    const before = readFileSync(sparse)
    expect(bench.lamina(['overlay', 'create', sparse])).toMatchObject({ code: 255 })
    expect(readFileSync(sparse).equals(before)).toBe(true)
  })
})

test('an overlay that is in use is told by its name, and by no other', async () => {
  for (const name of ['a', 'data.img']) bench.lamina(['overlay', 'create', name])
  const words = ['exec', '-o', 'data.img', bench.image, 'sh', '-c', 'echo up; exec sleep 60']
  const holder = spawn(bench.launcher, words, { cwd: bench.dir, env: bench.env })
  await once(holder.stdout, 'data')
  const { stderr } = bench.lamina(['exec', '-o', 'a:ro', '-o', 'data.img', bench.image, 'true'])
  expect(stderr).toBe("FATAL:   can't open data.img for writing, currently in use by another process\n")
  holder.kill('SIGKILL')
  await once(holder, 'exit')
})

test('an overlay that is made under a narrow umask has a root for all', () => {
  const line = `umask 077; ${bench.launcher} overlay create narrow.img; ${bench.launcher} exec -o narrow.img ${bench.image} stat -c %a /`
  const { stdout } = spawnSync('sh', ['-c', line], { cwd: bench.dir, env: bench.env, encoding: 'utf8' })
  expect(stdout).toBe('755\n')
})

test('nothing stays mounted or attached', () => expectNothingLeft(bench))
