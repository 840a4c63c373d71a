import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { hostOf } from './host.ts'
import type { NodeRuntime } from './node-runtime.ts'
import { runtimeProcesses } from './processes.ts'
import { restartRuntime } from './restart.ts'
import { supervisionOf, UnsupervisedError } from './supervision.ts'

let dir: string
let program: string
let started: ChildProcess[]
let pids: Set<number>
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'lamina-supervision-'))
  program = join(dir, 'containerd')
  // Waits for its input to end, without an argument.
  copyFileSync('/bin/cat', program)
  started = []
  pids = new Set()
})
afterEach(() => {
  for (const child of started) child.kill('SIGKILL')
  for (const pid of pids) if (existsSync(`/proc/${pid}`)) process.kill(pid, 'SIGKILL')
  rmSync(dir, { recursive: true })
})

const here = () => runtimeProcesses(process.pid).filter((each) => each.program === program)
const start = (command: string, ...args: string[]): ChildProcess => {
  const child = spawn(command, args, { stdio: ['pipe', 'ignore', 'ignore'] })
  started.push(child)
  return child
}
/** The runtime as the installer sees it, when it has come up. */
const seen = async (restart: NodeRuntime['restart'] = { by: 'signal' }): Promise<NodeRuntime> => {
  const found = await vi.waitFor(() => {
    const [it] = here()
    if (!it) throw new Error('it has not started')
    return it
  }, 2_000)
  pids.add(found.pid)
  return {
    ...{ kind: 'containerd', process: found, restart, configDir: undefined },
    config: '/etc/containerd/config.toml',
  }
}
const host = () => hostOf(process.pid)

describe('a container runtime without a unit', () => {
  test('is started again by the program that runs it', async () => {
    const again = () => start(program).once('exit', () => again())
    again()
    const before = await seen()
    expect(await supervisionOf(host(), before)).toMatchObject({ by: 'parent' })
    await restartRuntime(host(), before, AbortSignal.timeout(20_000))
    expect((await seen()).process.pid).not.toBe(before.process.pid)
    for (const child of started) child.removeAllListeners('exit')
  }, 30_000)

  test.each<[string, string[], RegExp]>([
    ['that a shell has started', ['sh', '-c', '"$0"; true'], /was started below sh \(pid \d+\)/],
    [
      'that runs on after who started it',
      ['sh', '-c', 'mkfifo "$0.end"; "$0" 0<>"$0.end" &'],
      /was started below \S+ \(pid 1\)/,
    ],
  ])('%s is not ended, and the reason says what to do', async (_, [shell = '', ...args], words) => {
    const starter = start(shell, ...args, program)
    if (args.join().endsWith('&')) await once(starter, 'exit')
    const runtime = await seen()
    const attempt = restartRuntime(host(), runtime, AbortSignal.timeout(5_000))
    await expect(attempt).rejects.toThrow(UnsupervisedError)
    await expect(attempt).rejects.toThrow(words)
    await expect(attempt).rejects.toThrow(/Restart it yourself, so that it reads \/etc\/containerd\/config.toml anew/)
    expect(here().map(({ pid }) => pid)).toEqual([runtime.process.pid])
  })
})

describe('a container runtime without systemd, by those above it', () => {
  const judged = (...ancestors: [number, string][]) =>
    supervisionOf(
      host(),
      {
        process: { ...{ pid: 50, program: '/usr/bin/containerd', name: 'containerd', args: [] }, ...unitless },
        restart: { by: 'signal' },
        config: '/etc/containerd/config.toml',
      },
      ancestors.map(([pid, name]) => ({ pid, name })),
    )
  const unitless = { unit: undefined, path: '', startTime: 0 }

  test.each<[string, string, [number, string][]]>([
    [
      'k0s, which starts it again itself',
      'k0s',
      [
        [40, 'k0s'],
        [1, 'init'],
      ],
    ],
    ['k0s as the first process of a container', 'k0s', [[1, 'k0s']]],
    [
      'k3s, which ends with it and is kept by OpenRC',
      'supervise-daemo',
      [
        [40, 'k3s-server'],
        [30, 'supervise-daemo'],
        [1, 'init'],
      ],
    ],
  ])('is started again: %s', async (_, name, ancestors) => {
    expect(await judged(...ancestors)).toEqual({ by: 'parent', name })
  })

  test.each<[string, [number, string][], RegExp]>([
    [
      'k3s that a shell has started',
      [
        [40, 'k3s-server'],
        [30, 'bash'],
        [1, 'init'],
      ],
      /below bash \(pid 30\)/,
    ],
    ['k3s as the first process of a container', [[1, 'k3s']], /below nothing/],
  ])('is not: %s', async (_, ancestors, words) => {
    await expect(judged(...ancestors)).rejects.toThrow(words)
  })
})

describe('a container runtime in the cgroup of a unit', () => {
  const process_ = {
    pid: 50,
    program: '/usr/bin/containerd',
    name: 'containerd',
    args: [],
    path: '',
    startTime: 0,
  } as const
  const runtime = (unit: string) => ({
    process: { ...process_, unit },
    restart: { by: 'systemd', unit } as const,
    config: '/etc/containerd/config.toml',
  })
  const judged = (unit: string, main: number, ...ancestors: [number, string][]) => {
    const asked: string[] = []
    const run = async (command: string, args: readonly string[]) => {
      asked.push([basename(command), ...args].join(' '))
      return `${main}\n`
    }
    const above = ancestors.map(([pid, name]) => ({ pid, name }))
    return supervisionOf({ run }, runtime(unit), above).finally(() =>
      expect(asked).toEqual([`systemctl show --property=MainPID --value ${unit}`]),
    )
  }

  test.each<[string, string, number, [number, string][]]>([
    ['it is its main process', 'containerd.service', 50, [[1, 'systemd']]],
    [
      'the main process runs it',
      'k3s.service',
      40,
      [
        [40, 'k3s-server'],
        [1, 'systemd'],
      ],
    ],
    [
      'the main process runs it through a wrapper',
      'odd.service',
      40,
      [
        [45, 'bash'],
        [40, 'wrapper'],
        [1, 'systemd'],
      ],
    ],
  ])('is restarted with it: %s', async (_, unit, main, ancestors) => {
    expect(await judged(unit, main, ...ancestors)).toEqual({ by: 'systemd', unit })
  })

  test.each<[string, string, number, [number, string][]]>([
    [
      'started in a session',
      'ssh.service',
      30,
      [
        [45, 'bash'],
        [40, 'sshd'],
        [30, 'sshd'],
        [1, 'systemd'],
      ],
    ],
    ['left behind by its unit', 'containerd.service', 60, [[1, 'systemd']]],
    ['of a unit that does not run', 'containerd.service', 0, [[1, 'systemd']]],
  ])('but not one %s', async (_, unit, main, ancestors) => {
    await expect(judged(unit, main, ...ancestors)).rejects.toThrow(UnsupervisedError)
  })
})
