import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { callerFrom, callerOf, isServer, optionOf, runtimeProcesses, unitOf } from './processes.ts'

describe('command lines', () => {
  test.each([
    ['--config', ['--config', '/etc/k/config.toml', '--log-level', 'debug'], '/etc/k/config.toml'],
    ['-c', ['-c', '/var/lib/rancher/config.toml', '-a', '/run/k'], '/var/lib/rancher/config.toml'],
    ['--config', ['--root=/x', '--config=/etc/containerd/config.toml'], '/etc/containerd/config.toml'],
    ['--config', ['--root', '/x'], undefined],
  ])('%s of %j', (name, args, expected) => {
    expect(optionOf(args, name)).toBe(expected)
  })

  test.each([
    [[], true],
    [['-c', '/x', '--root=/y'], true],
    [['config', 'dump'], false],
    [['--config', '/x', 'publish'], false],
    [['--root=/y', 'config'], false],
    // The program of k3s itself is containerd by another name.
    [['server', '--data-dir', '/var/lib/rancher'], false],
  ])('%j is a server: %s', (args, expected) => {
    expect(isServer(args)).toBe(expected)
  })

  test.each([
    ['0::/system.slice/containerd.service\n', 'containerd.service'],
    ['12:pids:/system.slice/crio.service\n0::/system.slice/crio.service\n', 'crio.service'],
    ['0::/system.slice/snap.microk8s.daemon-containerd.service\n', 'snap.microk8s.daemon-containerd.service'],
    ['0::/system.slice/k3s.service/init\n', 'k3s.service'],
    ['0::/user.slice/session.scope\n', undefined],
    ['0::/\n', undefined],
  ])('%j is of unit %s', (cgroup, unit) => {
    expect(unitOf(cgroup)).toBe(unit)
  })

  test.each([
    [
      '/usr/bin/containerd-shim-runc-v2\0-namespace\0k8s.io\0-id\0abc\0-address\0/run/k3s/containerd/containerd.sock\0',
      { name: 'containerd', address: '/run/k3s/containerd/containerd.sock' },
    ],
    ['/usr/libexec/crio/conmon\0-b\0/run/containers\0', { name: 'crio' }],
    ['/usr/bin/conmonrs\0--runtime\0runc\0', { name: 'crio' }],
    ['node\0/app/agent.cjs\0', undefined],
    ['', undefined],
  ])('the parent %j tells who started the agent', (commandLine, caller) => {
    expect(callerFrom(commandLine)).toEqual(caller)
  })
})

describe("the node's runtimes are looked for among processes", () => {
  let dir: string
  let program: string
  let children: ChildProcess[]
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'lamina-processes-'))
    program = join(dir, 'containerd')
    // Waits for its input to end, without an argument.
    copyFileSync('/bin/cat', program)
    children = []
  })
  afterEach(() => {
    for (const child of children) child.kill('SIGKILL')
    rmSync(dir, { recursive: true })
  })

  const started = async (...command: [string, ...string[]]): Promise<number> => {
    const [file, ...args] = command
    const child = spawn(file, args, { stdio: ['pipe', 'ignore', 'ignore'], env: { PATH: '/usr/bin:/odd' } })
    children.push(child)
    // Wrappers execute it in place.
    await vi.waitFor(() => expect(readFileSync(`/proc/${child.pid}/comm`, 'utf8')).toBe('containerd\n'), 2_000)
    return child.pid ?? 0
  }
  const found = (pid: number) => runtimeProcesses(process.pid).filter((each) => each.pid === pid)

  test('of the host, with their PATH and the time of their start', async () => {
    const before = Date.now()
    const pid = await started(program)
    const [it] = found(pid)
    expect(it).toMatchObject({ program, name: 'containerd', args: [], path: '/usr/bin:/odd' })
    expect(Math.abs((it?.startTime ?? 0) - before)).toBeLessThan(3_000)
    expect(callerOf(pid)).toBeUndefined()
  })

  test.each<[string, string[]]>([
    ['in a mount namespace of its own, as in a pod', ['unshare', '--mount']],
    ['in a user namespace of its own', ['unshare', '--user', '--map-root-user']],
    ['of another user than root', ['setpriv', '--reuid=65534', '--clear-groups']],
  ])('not one %s', async (_what, [wrapper = '', ...args]) => {
    chmodSync(dir, 0o755)
    const pid = await started(`/usr/bin/${wrapper}`, ...args, program)
    expect(found(pid)).toEqual([])
  })
})
