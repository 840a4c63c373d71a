import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test, vi } from 'vitest'
import { useCliBench } from './testing/bench.ts'

/**
 * "Persistent Overlays" of Singularity 2.4's documentation, command by command, with
 * `lamina` for `singularity`. Two things have substitutes: the image's source, since
 * Singularity Hub no longer exists, is a directory with busybox; and `apt-get install`,
 * which needs a network and Debian, is a script that puts /usr/bin/vim there.
 */

const bench = await useCliBench()
beforeAll(() => {
  const installer = '#!/bin/sh\nprintf "#!/bin/sh\\n" > /usr/bin/vim && busybox chmod 755 /usr/bin/vim\n'
  writeFileSync(join(bench.sandbox, 'bin/apt-get'), installer, { mode: 0o755 })
  cpSync(bench.sandbox, join(bench.dir, 'ubuntu'), { recursive: true, verbatimSymlinks: true })
}, 60_000)

/** What a person sees who types the lines into a shell on a terminal, without the echo of the lines themselves. */
const session = async (args: readonly string[], lines: readonly string[]): Promise<string> => {
  const command = [bench.launcher, ...args].join(' ')
  const child = spawn('script', ['-qec', command, '/dev/null'], { env: { ...bench.env, TERM: 'dumb' }, cwd: bench.dir })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
  })
  const prompts = (): number => output.split('Lamina ubuntu.simg:').length - 1
  for (const [index, line] of lines.entries()) {
    await vi.waitFor(() => expect(prompts()).toBe(index + 1), 10_000)
    child.stdin.write(`${line}\n`)
  }
  await once(child, 'close')
  return output
}

test('singularity build ubuntu.simg shub://GodloveD/ubuntu', () => {
  const cwd = bench.dir
  expect(bench.lamina(['build', 'ubuntu.simg', 'shub://GodloveD/ubuntu'], { cwd })).toEqual({
    code: 255,
    signal: null,
    stdout: '',
    stderr:
      'FATAL:   shub://GodloveD/ubuntu: Singularity Hub no longer exists: take the image from a registry, docker://ubuntu for example\n',
  })
  expect(bench.lamina(['build', 'ubuntu.simg', 'ubuntu'], { cwd })).toMatchObject({
    code: 0,
    stderr: 'INFO:    Build complete: ubuntu.simg\n',
  })
})

test('singularity image.create my-overlay.img', () => {
  expect(bench.lamina(['image.create', 'my-overlay.img'])).toMatchObject({ code: 0, stdout: '', stderr: '' })
})

test('sudo singularity shell --overlay my-overlay.img ubuntu.simg', async () => {
  const seen = await session(
    ['shell', '--overlay', 'my-overlay.img', 'ubuntu.simg'],
    ['touch /foo', 'apt-get install -y vim', 'which vim', 'exit'],
  )
  expect(seen).toContain('/usr/bin/vim\r\n')
})

test('the changes persist across sessions', async () => {
  const seen = await session(['shell', '--overlay', 'my-overlay.img', 'ubuntu.simg'], ['ls /foo', 'which vim', 'exit'])
  expect(seen).toMatch(/\n\/foo\r\n/)
  expect(seen).toContain('\n/usr/bin/vim\r\n')
})

test('without the --overlay option they are gone', async () => {
  const seen = await session(['shell', 'ubuntu.simg'], ['ls /foo', 'which vim', 'exit'])
  expect(seen).toContain('ls: /foo: No such file or directory')
  expect(seen).not.toContain('/usr/bin/vim')
})
