import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { hasBlock, withBlock, withoutBlock } from './block.ts'
import { type InstalledFile, installFiles, runtimeFiles } from './files.ts'
import { hostFiles } from './host-files.ts'
import { assertKernel, missingModules } from './kernel.ts'
import { assertUnused } from './uninstall.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'lamina-install-'))
})
afterEach(() => rmSync(dir, { recursive: true }))

describe('a block in the file of somebody else', () => {
  test.each(['version = 2\n', 'version = 2', '', '\n\n', '[a]\r\nb = 1\r\n'])('leaves %j as it is', (text) => {
    const added = withBlock(text, '[c]\nd = 1\n')
    expect(added.startsWith(text)).toBe(true)
    expect(added).toContain('\n[c]\nd = 1\n')
    expect(hasBlock(added)).toBe(true)
    expect(withoutBlock(added)).toBe(text)
    expect(hasBlock(text)).toBe(false)
  })

  test('goes out of the middle, when others have added to the file', () => {
    expect(withoutBlock(`${withBlock('a = 1\n', 'b = 1\n')}[c]\n`)).toBe('a = 1\n[c]\n')
  })
})

describe('files of the host', () => {
  const files = () => hostFiles(dir)

  test('are read and written through its own links, absolute ones too', () => {
    mkdirSync(join(dir, 'real'))
    mkdirSync(join(dir, 'etc'))
    symlinkSync('/real', join(dir, 'etc', 'containerd'))
    symlinkSync('../etc/containerd/config.toml', join(dir, 'real', 'other.toml'))
    writeFileSync(join(dir, 'real', 'config.toml'), 'a', { mode: 0o600 })
    expect(files().read('/real/other.toml')).toBe('a')
    files().write('/real/other.toml', 'b')
    expect(readFileSync(join(dir, 'real/config.toml'), 'utf8')).toBe('b')
    expect(statSync(join(dir, 'real/config.toml')).mode & 0o777).toBe(0o600)
    expect(files().glob('/etc/containerd/*.toml')).toEqual([
      '/etc/containerd/config.toml',
      '/etc/containerd/other.toml',
    ])
  })

  test('that link in a circle are refused', () => {
    symlinkSync('/b', join(dir, 'a'))
    symlinkSync('/a', join(dir, 'b'))
    expect(() => files().read('/a')).toThrow(/too many symbolic links/)
  })

  test('and folders that are not there are made', () => {
    files().write('/etc/crio/crio.conf.d/99-lamina.conf', 'x')
    expect(files().read('/etc/crio/crio.conf.d/99-lamina.conf')).toBe('x')
    expect(files().read('/etc/crio/none')).toBeUndefined()
    expect(files().glob('/none/*.toml')).toEqual([])
  })

  test('a folder whose every file counts never has one that is half written', () => {
    // The last step, the renaming, fails on a folder: what there is by then stays to be seen.
    mkdirSync(join(dir, 'etc/crio/crio.conf.d/99-lamina.conf'), { recursive: true })
    expect(() => files().write('/etc/crio/crio.conf.d/99-lamina.conf', 'x', { stage: 'above' })).toThrow(
      /EISDIR|ENOTDIR/,
    )
    expect(readdirSync(join(dir, 'etc/crio/crio.conf.d'))).toEqual(['99-lamina.conf'])
    expect(readdirSync(join(dir, 'etc/crio')).toSorted()).toEqual(['99-lamina.conf.lamina-new', 'crio.conf.d'])
  })
})

describe('the kernel', () => {
  const facts = {
    release: '6.1.0-40-amd64',
    fileSystems: 'nodev\tsysfs\n\text3\n\text4\n\tsquashfs\nnodev\toverlay\n',
    devices: 'Character devices:\n  1 mem\n\nBlock devices:\n  7 loop\n259 blkext\n',
  }

  test('has what is needed', () => {
    assertKernel(facts)
    expect(missingModules(facts)).toEqual([])
  })

  test.each([
    ['4.18.0-553.el8.x86_64', /Linux 4.18.0-553.el8.x86_64 is too old: 5.10 or newer/],
    ['5.9.16', /too old/],
  ])('%s is too old', (release, reason) => {
    expect(() => assertKernel({ ...facts, release })).toThrow(reason)
  })

  test('is refused with all that it lacks', () => {
    const poor = { ...facts, fileSystems: 'nodev\toverlay\n\text4dev\n', devices: ' 70 loopy\n' }
    expect(() => assertKernel(poor)).toThrow(
      /lacks squashfs, ext4, loop.*CONFIG_SQUASHFS, CONFIG_EXT4_FS, CONFIG_BLK_DEV_LOOP/,
    )
  })
})

describe('files', () => {
  const file = (name: string, text: string, executable = false): InstalledFile => {
    const from = join(dir, 'app', name)
    mkdirSync(join(dir, 'app'), { recursive: true })
    writeFileSync(from, text)
    return { from, to: join(dir, 'opt', 'bin', name), executable }
  }

  test('are laid down in order, with the rights that they need', async () => {
    const bytes = { from: Buffer.from('crun\n'), to: join(dir, 'opt/etc/runtime'), executable: false }
    const files = [file('library', 'one'), bytes, file('program', 'two', true)]
    expect(await installFiles(files)).toEqual(files.map(({ to }) => to))
    expect(readFileSync(join(dir, 'opt/bin/library'), 'utf8')).toBe('one')
    expect(readFileSync(join(dir, 'opt/etc/runtime'), 'utf8')).toBe('crun\n')
    expect(statSync(join(dir, 'opt/bin/library')).mode & 0o777).toBe(0o644)
    expect(statSync(join(dir, 'opt/bin/program')).mode & 0o777).toBe(0o755)
    expect(await installFiles(files)).toEqual([])
  })

  test('with the same bytes are not touched', async () => {
    const files = [file('program', 'two', true)]
    await installFiles(files)
    const { ino, mtimeMs } = statSync(join(dir, 'opt/bin/program'))
    expect(await installFiles(files)).toEqual([])
    expect(statSync(join(dir, 'opt/bin/program'))).toMatchObject({ ino, mtimeMs })
  })

  test.each([
    ['other bytes of the same length', () => writeFileSync(join(dir, 'opt/bin/program'), 'owt')],
    ['half of it', () => writeFileSync(join(dir, 'opt/bin/program'), 't')],
    ['no right to run', () => chmodSync(join(dir, 'opt/bin/program'), 0o644)],
    ['a left-over beside it', () => writeFileSync(join(dir, 'opt/bin/program.new'), 'half')],
  ])('are whole again after %s', async (_what, spoil) => {
    const files = [file('program', 'two', true)]
    await installFiles(files)
    spoil()
    await installFiles(files)
    expect(readFileSync(join(dir, 'opt/bin/program'), 'utf8')).toBe('two')
    expect(statSync(join(dir, 'opt/bin/program')).mode & 0o777).toBe(0o755)
  })

  test('are replaced under a running program, which runs on with its own', async () => {
    await installFiles([file('program', 'two', true)])
    const { ino } = statSync(join(dir, 'opt/bin/program'))
    expect(await installFiles([file('program', 'three', true)])).toHaveLength(1)
    expect(statSync(join(dir, 'opt/bin/program')).ino).not.toBe(ino)
  })

  test('of the runtime: Node with its own loader and libraries, and the launcher last, with its own shell', () => {
    const { from: script } = file('lamina-runtime', '#!/bin/sh\nexec runc "$@"\n')
    expect(script).toBe(join(dir, 'app/lamina-runtime'))
    const files = runtimeFiles({ installDir: '/opt/lamina' }, { appDir: join(dir, 'app'), underlying: 'crun' })
    const names = files.map(({ to }) => to)
    for (const name of [
      'bin/node',
      'bin/sh',
      'bin/grep',
      'lib/ld.so',
      'lib/libc.so.6',
      'lib/koffi.node',
      'lib/skeleton.squashfs',
      'lib/catatonit',
    ])
      expect(names).toContain(`/opt/lamina/${name}`)
    expect(files.find(({ to }) => to === '/opt/lamina/etc/runtime')?.from).toEqual(Buffer.from('crun\n'))
    expect(files.at(-1)).toEqual({
      from: Buffer.from('#!/opt/lamina/bin/sh\nexec runc "$@"\n'),
      to: '/opt/lamina/bin/lamina-runtime',
      executable: true,
    })
  })

  test('are not taken away while pods of instances or prefetches are on the node', () => {
    mkdirSync(join(dir, 'run', 'pods', 'uid-dev'), { recursive: true })
    expect(() => assertUnused({ stateDir: join(dir, 'run') })).toThrow(
      /uid uid-dev.*delete their Instances, and take spec\.prefetch out/,
    )
    assertUnused({ stateDir: join(dir, 'elsewhere') })
  })
})
