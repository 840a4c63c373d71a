import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'

/** What apt-get and npm are replaced by notes when it begins and ends. */
let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'lamina-machine-'))
  mkdirSync(join(dir, 'bin'))
  writeFileSync(join(dir, 'package-lock.json'), '{}')
  writeFileSync(join(dir, 'notes'), '')
})
afterEach(() => rmSync(dir, { recursive: true }))

const program = (name: string, script: string): void => {
  writeFileSync(join(dir, 'bin', name), `#!/bin/sh\n${script}\n`)
  chmodSync(join(dir, 'bin', name), 0o755)
}
const notes = (): string[] => readFileSync(join(dir, 'notes'), 'utf8').split('\n').filter(Boolean)

/** Gives up after some seconds. */
const awaiting = (note: string): string => `for _ in $(seq 100); do grep -q '${note}' notes && break; sleep 0.05; done`

const noting = (name: string, act: string): string => `echo ${name} begins >> notes; ${act}; echo ${name} ends >> notes`

const ensureMachine = (apt: string) =>
  spawn(
    'sh',
    [
      '-euc',
      `. ${join(import.meta.dirname, 'machine.sh')}; install_packages() { ${apt}; }; ensure_machine no-such-package; echo on`,
    ],
    {
      cwd: dir,
      // As a terminal has it: Ctrl-C reaches all of the group.
      detached: true,
      env: { PATH: `${join(dir, 'bin')}:${process.env.PATH}` },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )

const outcomeOf = async (child: ReturnType<typeof ensureMachine>) => {
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (said += chunk))
  const [code] = await once(child, 'close')
  return { code, said }
}

test('Debian packages and npm packages are installed side by side, and both are waited for', async () => {
  program('npm', noting('npm', awaiting('apt begins')))
  const { code, said } = await outcomeOf(ensureMachine(noting('apt', awaiting('npm begins'))))
  expect(code).toBe(0)
  expect(said).toMatch(/\non\n$/)
  expect(notes().slice(0, 2).sort()).toEqual(['apt begins', 'npm begins'])
  expect(notes().slice(2).sort()).toEqual(['apt ends', 'npm ends'])
})

test('what is there is left alone', async () => {
  program('npm', noting('npm', 'true'))
  mkdirSync(join(dir, 'node_modules'))
  writeFileSync(join(dir, 'node_modules/.package-lock.json'), '{}')
  program('dpkg-query', 'echo " no-such-package=installed "')
  expect(await outcomeOf(ensureMachine('false'))).toEqual({ code: 0, said: 'on\n' })
  expect(notes()).toEqual([])
})

test('a failure of npm ends it, after apt-get', async () => {
  program('npm', 'echo no network >&2; exit 3')
  const { code, said } = await outcomeOf(ensureMachine('sleep 0.2'))
  expect(code).toBe(3)
  expect(said).toContain('no network')
  expect(said).not.toContain('on\n')
})

const slowly = 'exec sleep 4747'
const isLeft = (): boolean => {
  try {
    execFileSync('pgrep', ['-f', '^sleep 4747'])
    return true
  } catch {
    return false
  }
}

test('a failure of apt-get ends npm', async () => {
  program('npm', slowly)
  expect((await outcomeOf(ensureMachine('sleep 0.2; exit 1'))).code).toBe(1)
  expect(isLeft()).toBe(false)
})

test('Ctrl-C ends both', async () => {
  program('npm', `echo npm begins >> notes; ${slowly}`)
  const child = ensureMachine(`echo apt begins >> notes; sleep 30`)
  const outcome = outcomeOf(child)
  await vi.waitFor(() => expect(notes()).toHaveLength(2), 5_000)
  process.kill(-Number(child.pid), 'SIGINT')
  expect((await outcome).code).toBe(130)
  expect(isLeft()).toBe(false)
  expect(existsSync(join(dir, 'node_modules'))).toBe(false)
})
