import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, rmdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { useCliBench } from './testing/bench.ts'
import { escapeFromChroot } from './testing/escape.ts'
import { processesWith } from './testing/processes.ts'

/** What the image, the command and the caller cannot do to each other. */

const bench = await useCliBench()

const sh = (script: string, ...options: string[]) => bench.lamina(['exec', ...options, bench.image, 'sh', '-c', script])

test.each([['--containall'], ['--contain'], ['--pid']])(
  'with %s who is root finds nothing above its root',
  (option) => {
    expect(sh(escapeFromChroot, option).stdout).toBe('jail\n')
  },
)

/** A sandbox of an image that means no good. */
const slyImage = (name: string, make: (dir: string) => void): string => {
  const dir = join(bench.dir, name)
  execFileSync('cp', ['-a', bench.sandbox, dir])
  mkdirSync(join(dir, '.singularity.d'))
  make(dir)
  return dir
}

test('what an image says of its environment is for its own programs alone', () => {
  const env = ['PATH=/opt/app/bin', 'LD_PRELOAD=/nope.so']
  const image = slyImage('with-environment', (dir) =>
    writeFileSync(join(dir, '.singularity.d/lamina.json'), JSON.stringify({ env })),
  )
  const look = ['/bin/busybox', 'sh', '-c', 'echo "$PATH $LD_PRELOAD"']
  for (const option of ['--contain', '--containall'])
    expect(bench.lamina(['exec', option, image, ...look])).toEqual({
      ...{ code: 0, signal: null, stderr: '' },
      stdout: '/opt/app/bin /nope.so\n',
    })
})

test("a link of the image's that leads nowhere in it empties and makes no file of the host", () => {
  const [there, made] = [join(bench.dir, 'there'), join(bench.dir, 'made')]
  writeFileSync(there, 'precious\n')
  const image = slyImage('leading-out', (dir) => {
    symlinkSync(there, join(dir, 'etc/resolv.conf'))
    symlinkSync(made, join(dir, 'etc/hosts'))
  })
  const { code, stderr } = bench.lamina(['exec', '--no-mount', 'tmp,cwd,home', image, 'true'])
  expect(code).toBe(0)
  expect(stderr).toContain(
    'WARNING: /etc/resolv.conf of the container cannot be mounted upon (it is a symbolic link that leads nowhere): it is left as the image has it\n',
  )
  expect(readFileSync(there, 'utf8')).toBe('precious\n')
  expect(existsSync(made)).toBe(false)
})

test("an image's /proc that is a link is not followed on the host", () => {
  const image = slyImage('linked-proc', (dir) => {
    rmdirSync(join(dir, 'proc'))
    symlinkSync('/usr', join(dir, 'proc'))
  })
  const refused = {
    code: 255,
    stderr: expect.stringMatching(/^FATAL: {3}\/proc of the container cannot be mounted upon/),
  }
  expect(bench.lamina(['exec', '--pid', image, 'true'])).toMatchObject(refused)
  expect(bench.lamina(['start', image, 'linked'])).toMatchObject(refused)
})

test.each([
  [
    'whose configuration would be waited for',
    (dir: string) => execFileSync('mkfifo', [join(dir, '.singularity.d/lamina.json')]),
  ],
  ['whose shell leads out of it', (dir: string) => symlinkSync('/proc/self/exe', join(dir, 'bin/bash'))],
])('an image is run %s', (name, make) => {
  const image = slyImage(name, make)
  expect(bench.lamina(['exec', image, 'echo', 'up'])).toMatchObject({ code: 0, stdout: 'up\n', stderr: '' })
})

test('a prompt shows the name of the image, and does nothing of what is in it', () => {
  const image = join(bench.dir, 'i$(touch pwned)`x`.sqfs')
  symlinkSync(bench.image, image)
  expect(bench.lamina(['shell', image, '-c', 'echo "$PS1"']).stdout).toBe('Lamina i?(touch pwned)?x?.sqfs:\\w> \n')
})

test('variables by which lamina begins itself anew are not believed where nobody has begun it', () => {
  const [LAMINA_OUTSIDE_UID, LAMINA_OUTSIDE_GID, LAMINA_OUTSIDE_CWD] = ['0', '0', '/']
  const env = { LAMINA_OUTSIDE_UID, LAMINA_OUTSIDE_GID, LAMINA_OUTSIDE_CWD, LAMINA_OUTSIDE_IMAGE: '/nope' }
  expect(bench.lamina(['exec', bench.image, 'pwd'], { env }).stdout).toBe(`${bench.dir}\n`)
})

test('no word of a command is one for Node', () => {
  expect(bench.lamina(['exec', bench.image, 'echo', '--env-file', 'nope']).stdout).toBe('--env-file nope\n')
})

test.each([
  ['that nobody reads is no mistake', '--help | true', /^$/],
  [
    'that finds no room is told in a line',
    'exec --help >/dev/full',
    /^FATAL: {3}ENOSPC: no space left on device, write\n$/,
  ],
])('help %s', (_, words, told) => {
  const { stderr } = spawnSync('sh', ['-c', `"$0" ${words}`, bench.launcher], { env: bench.env, encoding: 'utf8' })
  expect(stderr).toMatch(told)
})

test.each(['2>/dev/full', '2>&1 >/dev/null | true'])(
  'a mistake that nobody can be told of (%s) has its exit code',
  (words) => {
    const script = `{ "$0" overlay ls /nope; echo "ended with $?" >&3; } ${words}`
    const { output } = spawnSync('sh', ['-c', script, bench.launcher], {
      env: bench.env,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    })
    expect(output[3]).toBe('ended with 255\n')
  },
)

test('all is printed into a full pipe that another program has made non-blocking', () => {
  const instances = join(bench.dir, 'state/instances')
  mkdirSync(instances, { recursive: true })
  for (const [name, text] of [
    ['many.out', 'x'.repeat(300_000)],
    ['many.err', ''],
  ] as const)
    writeFileSync(join(instances, name), text)
  // A Node that is killed does not make it as it was.
  const makeNonBlocking = `"$1" -e 'process.stdout.write("."); process.kill(process.pid, "SIGKILL")'`
  const script = `{ ${makeNonBlocking}; "$0" logs many; } | { sleep 0.5; wc -c; }`
  const { stdout } = spawnSync('sh', ['-c', script, bench.launcher, process.execPath], {
    env: bench.env,
    encoding: 'utf8',
  })
  expect(stdout).toBe('300001\n')
})

test('a directory that has been removed is told', () => {
  const script = 'mkdir gone; cd gone; rmdir ../gone; exec "$@"'
  const words = ['-c', script, 'sh', bench.launcher, 'exec', bench.image, 'true']
  const { stderr } = spawnSync('sh', words, { cwd: bench.dir, env: bench.env, encoding: 'utf8' })
  expect(stderr).toMatch(/^FATAL: {3}the working directory has been removed: go to another one$/m)
})

test("with --pid limits, umask and descriptors are the caller's, and the end is the command's", () => {
  const find = (inside: string): string => {
    const look = `${inside} sh -c 'ulimit -Sn; umask; cat <&7'`
    const script = `ulimit -Sn 333; umask 027; exec 7</etc/hostname; ${look}`
    return spawnSync('sh', ['-c', script], { env: bench.env, encoding: 'utf8' }).stdout
  }
  expect(find(`${bench.launcher} exec --pid ${bench.image}`)).toBe(find('busybox'))
  expect(sh('kill -PIPE $$', '--pid')).toMatchObject({ signal: 'SIGPIPE' })
})

test('with --pid all ends when lamina is killed', async () => {
  const work = join(bench.dir, 'work.img')
  expect(bench.lamina(['overlay', 'create', work])).toMatchObject({ code: 0, stderr: '' })
  const child = spawn(bench.launcher, ['exec', '-p', '-o', work, bench.image, 'sh', '-c', 'echo up; sleep 1000'], {
    env: bench.env,
  })
  await once(child.stdout, 'data')
  child.kill('SIGKILL')
  await vi.waitFor(() => expect(processesWith(bench.dir)).toEqual([]), 10_000)
  expect(sh('true', '-o', work)).toMatchObject({ code: 0 })
})
