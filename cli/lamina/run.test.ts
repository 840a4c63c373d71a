import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { makeSif, makeSquashfs } from '../../test/node/images.ts'
import { useCliBench } from './testing/bench.ts'
import { processesWith } from './testing/processes.ts'

const bench = await useCliBench()

const fixtures = join(import.meta.dirname, '../../test/fixtures')
const exec = (...command: string[]) => bench.lamina(['exec', bench.image, ...command])
const sh = (script: string, ...options: string[]) => bench.lamina(['exec', ...options, bench.image, 'sh', '-c', script])

let count = 0
const overlay = (): string => {
  const path = join(bench.dir, `overlay-${count++}.img`)
  expect(bench.lamina(['overlay', 'create', path])).toMatchObject({ code: 0, stderr: '' })
  return path
}

describe('a command', () => {
  test('has its arguments, its output and its exit code', () => {
    expect(exec('echo', 'a', '', 'b c', '--help', '-x')).toEqual({
      code: 0,
      signal: null,
      stderr: '',
      stdout: 'a  b c --help -x\n',
    })
    expect(sh('exit 7')).toMatchObject({ code: 7 })
    expect(sh('cat; echo err >&2; exit 3')).toMatchObject({ code: 3, stderr: 'err\n' })
  })

  test('reads what is piped in', () => {
    expect(bench.lamina(['exec', bench.image, 'cat'], { input: 'through\n' })).toMatchObject({ stdout: 'through\n' })
  })

  test.each(['SIGTERM', 'SIGINT', 'SIGKILL'] as const)('ended by %s ends lamina by it', (signal) => {
    expect(sh(`kill -${signal.slice(3)} $$`)).toMatchObject({ code: null, signal })
  })

  test.each(['SIGTERM', 'SIGUSR1', 'SIGHUP'] as const)('gets %s that is sent to lamina', async (signal) => {
    const script = `trap 'echo got; exit 5' ${signal.slice(3)}; echo up; while :; do sleep 0.05; done`
    const child = spawn(bench.launcher, ['exec', bench.image, 'sh', '-c', script], { env: bench.env })
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
    await vi.waitFor(() => expect(output).toBe('up\n'), 10_000)
    child.kill(signal)
    expect(await once(child, 'exit')).toEqual([5, null])
    expect(output).toBe('up\ngot\n')
  })

  test('finds signals, limits, umask and descriptors as the caller had them', () => {
    const look = 'grep -E "^Sig(Ign|Blk)" /proc/self/status; ulimit -Sn; umask; ls /proc/self/fd; cat <&7'
    const before = `trap '' HUP; ulimit -Sn 333; umask 027; echo seven > ${bench.dir}/seven; exec 7<${bench.dir}/seven`
    const find = (inside: string): string =>
      spawnSync('sh', ['-c', `${before}; exec ${inside} sh -c '${look}'`], { env: bench.env, encoding: 'utf8' }).stdout
    const found = find(`${bench.launcher} exec ${bench.image}`)
    expect(found).toBe(find('busybox'))
    expect(found).toMatch(/^SigBlk:\t0+\nSigIgn:\t0+1\n333\n0027\n(.*\n)*7\n(.*\n)*seven\n$/)
  })

  test.each(['dash', 'bash --posix'])(
    'finds the descriptors that the caller had, and no other, by a launcher under %s',
    (shell) => {
      const find = (inside: string): string => {
        const script = `exec 7<${bench.image} 10<${bench.image}; exec ${inside} sh -c 'cd /proc/self/fd; exec find . -type l'`
        return spawnSync('bash', ['-c', script], { env: bench.env, encoding: 'utf8' }).stdout
      }
      const found = find(`${shell} ${bench.launcher} exec ${bench.image}`)
      expect(found).toBe(find('busybox'))
      expect(found).toContain('./10\n')
    },
  )

  test('finds pipes that do not refuse to wait', () => {
    const { stdout } = sh('for fd in 0 1 2; do grep flags /proc/self/fdinfo/$fd; done')
    const flags = [...stdout.matchAll(/flags:\s*(\d+)/g)].map(([, octal]) => Number.parseInt(octal ?? '', 8))
    expect(flags.map((flag) => flag & 0o4000)).toEqual([0, 0, 0])
  })

  test('has the terminal', () => {
    const command = `${bench.launcher} shell ${bench.image} -c 'tty; test -t 0 && test -t 1 && echo both'`
    const output = execFileSync('script', ['-qec', command, '/dev/null'], { env: bench.env, encoding: 'utf8' })
    expect(output).toMatch(/^\/dev\/pts\/\d+\r\nboth\r\n$/)
  })
})

describe('an image', () => {
  test.each([
    ['a squashfs', () => bench.image],
    ['the directory of a sandbox', () => bench.sandbox],
    [
      'a SIF',
      () => makeSif(join(bench.dir, 'a.sif'), [{ content: readFileSync(bench.image), fileSystem: 1, role: 2 }]),
    ],
    [
      'a .simg of Singularity 2',
      () => {
        const line = Buffer.from('#!/usr/bin/env run-singularity\n')
        writeFileSync(join(bench.dir, 'a.simg'), Buffer.concat([line, readFileSync(bench.image)]))
        return join(bench.dir, 'a.simg')
      },
    ],
    [
      'a symbolic link to one',
      () => {
        symlinkSync(bench.image, join(bench.dir, 'link.sqfs'))
        return join(bench.dir, 'link.sqfs')
      },
    ],
  ])('can be %s', (_, make) => {
    const image = make()
    expect(bench.lamina(['exec', image, 'cat', '/etc/group'])).toMatchObject({ code: 0, stdout: 'root:x:0:\n' })
    expect(bench.lamina(['exec', image, 'touch', '/etc/new'])).toMatchObject({ code: 0 })
    expect(bench.lamina(['exec', image, 'ls', '/etc/new'])).toMatchObject({ code: 1 })
  })

  test('that Apptainer made runs: .simg and .sif', () => {
    for (const name of ['minimal.simg', 'minimal.sif'])
      expect(bench.lamina(['exec', join(fixtures, name), 'hello', 'one', 'two'])).toMatchObject({
        stdout: 'one\ntwo\n',
      })
  })

  test('that is a .simg runs its own runscript, by the shell that is bound into it', () => {
    const args = ['run', '-B', '/bin/busybox:/bin/sh', join(fixtures, 'minimal.simg')]
    expect(bench.lamina(args)).toMatchObject({
      code: 0,
      stdout: 'There is no runscript defined for this container\\n\n',
    })
  })

  const withScripts = (): string => {
    const dir = join(bench.dir, 'scripted')
    execFileSync('cp', ['-a', bench.sandbox, dir])
    mkdirSync(join(dir, '.singularity.d/env'), { recursive: true })
    writeFileSync(join(dir, '.singularity.d/env/90-environment.sh'), 'export GREETING=hello\n')
    writeFileSync(join(dir, '.singularity.d/runscript'), '#!/bin/sh\necho "$GREETING, $*"\n', { mode: 0o755 })
    return dir
  }

  test('of Singularity has its environment and its runscript', () => {
    const image = withScripts()
    expect(bench.lamina(['run', image, 'you', 'two'])).toMatchObject({ stdout: 'hello, you two\n' })
    expect(bench.lamina(['exec', image, 'sh', '-c', 'echo $GREETING'])).toMatchObject({ stdout: 'hello\n' })
    expect(bench.lamina(['shell', image, '-c', 'echo "$GREETING $PS1"'])).toMatchObject({
      stdout: 'hello Lamina scripted:\\w> \n',
    })
  })
})

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

describe('of the host, a container sees', () => {
  test('home, working directory and /tmp, unless told otherwise', () => {
    const home = bench.env.HOME ?? ''
    writeFileSync(join(home, 'mine'), '')
    const cwd = join(bench.dir, 'work')
    mkdirSync(cwd)
    writeFileSync(join(cwd, 'here'), '')
    const look = (...options: string[]) =>
      bench.lamina(['exec', ...options, bench.image, 'sh', '-c', `pwd; ls; ls ${home}; ls -d ${bench.image}`], { cwd })
    const seen = `${cwd}\nhere\nmine\n${bench.image}\n`
    expect(look()).toMatchObject({ stdout: seen })
    expect(look('--no-home', '--no-mount', 'tmp').stdout).toBe(`${cwd}\nhere\n`)
    expect(look('--contain').stdout).toBe(`${home}\n`)
    expect(look('--no-mount', 'home,cwd,tmp').stdout).toBe('/\nbin\ndev\netc\nproc\nroot\nsys\ntmp\nusr\nvar\n')
  })

  test('what is bound, there and read-only as asked', () => {
    const dir = join(bench.dir, 'shared')
    mkdirSync(dir)
    writeFileSync(join(dir, 'file'), 'bound\n')
    const binds = ['-B', `${dir}:/data/in:ro,${dir}/file:/etc/one`]
    const { stdout, stderr } = sh('cat /data/in/file /etc/one; touch /data/in/x', ...binds)
    expect(stdout).toBe('bound\nbound\n')
    expect(stderr).toMatch(/Read-only file system/)
  })

  test('what is bound read-only with all that is mounted below, and what else these mounts are', () => {
    const dir = join(bench.dir, 'mounted')
    mkdirSync(dir)
    const mounts = `mount -t tmpfs -o nosuid,nodev t ${dir}; mkdir ${dir}/below; mount -t tmpfs -o noexec t ${dir}/below`
    const look = 'grep " /data" /proc/self/mounts; touch /data/below/x'
    const words = [bench.launcher, 'exec', '-B', `${dir}:/data:ro`, bench.image, 'sh', '-c', look]
    const args = ['--mount', 'sh', '-c', `${mounts}; exec "$@"`, 'sh', ...words]
    const { stdout, stderr } = spawnSync('unshare', args, { env: bench.env, encoding: 'utf8' })
    expect(stdout).toMatch(/ \/data tmpfs ro,nosuid,nodev,.*\n.* \/data\/below tmpfs ro,noexec,/)
    expect(stderr).toMatch(/Read-only file system/)
  })

  test('variables, but for its own; and those that are asked for', () => {
    const env = { HOST: 'seen', LD_PRELOAD: '', SINGULARITYENV_GIVEN: 'old way', NODE_OPTIONS: '' }
    const file = join(bench.dir, 'variables')
    writeFileSync(file, '# a comment\nFILE="from file"\nBOTH=file\n')
    const script = 'echo $HOST,$GIVEN,$FILE,$BOTH,$SINGULARITY_NAME; env | grep ^LAMINA_'
    const options = ['--env-file', file, '--env', 'BOTH=option']
    const args = ['exec', ...options, bench.image, 'sh', '-c', script]
    expect(bench.lamina(args, { env }).stdout).toMatch(/^seen,old way,from file,option,busybox.sqfs\n/)
    const names = [...bench.lamina(args, { env }).stdout.matchAll(/^LAMINA_(\w+)=/gm)].map(([, name]) => name)
    // Those of the bench itself are the caller's.
    expect(names.toSorted()).toEqual(['CACHEDIR', 'CONTAINER', 'NAME', 'NODE', 'STATE_DIR'])
    const clean = bench.lamina(['exec', '--cleanenv', bench.image, 'sh', '-c', 'echo "$HOST"'], { env })
    expect(clean.stdout).toBe('\n')
  })

  test('with --pid no process but its own, and ends with the first', () => {
    const { code, stdout: processes } = sh('ps; exit 6', '--pid')
    expect([code, processes.split('\n').length < 7]).toEqual([6, true])
    const { stdout } = sh('sleep 1000 & echo $!', '-C')
    expect(stdout).toMatch(/^\d+\n$/)
    expect(processesWith(bench.dir)).toEqual([])
  })

  test('no link of the image that leads out of it', () => {
    const dir = join(bench.dir, 'sly')
    execFileSync('cp', ['-a', bench.sandbox, dir])
    const outside = join(bench.dir, 'outside')
    mkdirSync(outside)
    symlinkSync(outside, join(dir, 'data'))
    const options = ['--no-mount', 'tmp,cwd,home', '-B', `${bench.dir}/home:/data/x`]
    expect(bench.lamina(['exec', ...options, dir, 'true'])).toMatchObject({ code: 255 })
    expect(existsSync(join(outside, 'x'))).toBe(false)
  })
})

test('nothing stays mounted, attached or running', () => {
  copyFileSync(bench.image, join(bench.dir, 'last.sqfs'))
  bench.lamina(['exec', join(bench.dir, 'last.sqfs'), 'true'])
  expect(execFileSync('losetup', ['--list', '--noheadings'], { encoding: 'utf8' })).not.toContain(bench.dir)
  expect(readFileSync('/proc/self/mounts', 'utf8')).not.toContain(bench.dir)
})
