import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { useCliBench } from '../testing/bench.ts'
import { expectNothingLeft } from '../testing/nothing-left.ts'
import { processesWith } from '../testing/processes.ts'

const bench = await useCliBench()

const sh = (script: string, ...options: string[]) => bench.lamina(['exec', ...options, bench.image, 'sh', '-c', script])

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

test('nothing stays mounted or attached', () => expectNothingLeft(bench))
