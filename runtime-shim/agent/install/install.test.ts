import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { assertContainerd2, assertHandler, dropIn, handlerOptions, usesSystemdCgroup } from './containerd.ts'
import { type InstalledFile, installFiles, runtimeFiles } from './files.ts'
import { configOf, runningContainerds, unitOf } from './processes.ts'
import { uninstall } from './uninstall.ts'

/** As containerd 2.2.1 writes it. */
const dump = ({ lamina = '/opt/lamina/bin/lamina-runtime', systemd = false } = {}) => `version = 3
imports = ['/etc/containerd/conf.d/*.toml']

[plugins]
  [plugins.'io.containerd.cri.v1.runtime']
    [plugins.'io.containerd.cri.v1.runtime'.containerd]
      default_runtime_name = 'runc'

      [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes]
        [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.lamina]
          runtime_type = 'io.containerd.runc.v2'

          [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.lamina.options]
            BinaryName = '${lamina}'

        [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
          runtime_type = 'io.containerd.runc.v2'

          [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
            BinaryName = ''
            IoGid = 0
            SystemdCgroup = ${systemd}

    [plugins.'io.containerd.cri.v1.runtime'.cni]
      bin_dir = ''
`

describe('the drop-in', () => {
  test('names the launcher, for configuration version 3', () => {
    expect(dropIn('/opt/lamina/bin/lamina-runtime', { systemdCgroup: true })).toBe(`version = 3

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.lamina]
  runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.lamina.options]
    BinaryName = "/opt/lamina/bin/lamina-runtime"
    SystemdCgroup = true
`)
  })

  test("has cgroups made as runc's own handler has, and not as another's", () => {
    expect(usesSystemdCgroup(dump({ systemd: true }))).toBe(true)
    expect(usesSystemdCgroup(dump())).toBe(false)
    expect(usesSystemdCgroup(dump().replace('runtimes.runc', 'runtimes.crun'))).toBe(false)
  })

  test('counts only when containerd itself would run with it', () => {
    assertHandler(dump(), '/opt/lamina/bin/lamina-runtime')
    expect(() => assertHandler(dump({ lamina: '/elsewhere' }), '/opt/lamina/bin/lamina-runtime')).toThrow(
      /would not read \/etc\/containerd\/conf.d\/lamina.toml: let .* have "version = 3" and imports/,
    )
    expect(() => assertHandler(dump().replaceAll('lamina', 'other'), '/opt/lamina/bin/lamina-runtime')).toThrow(
      /imports/,
    )
  })

  test('options are read to the end of their table', () => {
    expect(handlerOptions(dump(), 'runc')).toEqual(
      new Map([
        ['BinaryName', ''],
        ['IoGid', '0'],
        ['SystemdCgroup', 'false'],
      ]),
    )
    expect(handlerOptions(dump(), 'kata')).toBeUndefined()
  })
})

describe('the container runtime of the node', () => {
  test.each(['containerd://2.0.0', 'containerd://2.2.1+unknown', 'containerd://v3.0.0'])('%s takes it', (version) => {
    assertContainerd2(version)
  })
  test.each(['containerd://1.7.20', 'cri-o://1.33.1', ''])('"%s" is refused in words', (version) => {
    expect(() => assertContainerd2(version)).toThrow(/on containerd 2.0 or newer only/)
  })

  test.each([
    ['/usr/bin/containerd\0', '/etc/containerd/config.toml'],
    ['containerd\0--config\0/etc/k/config.toml\0--log-level\0debug\0', '/etc/k/config.toml'],
    ['containerd\0-c\0/var/lib/rancher/config.toml\0', '/var/lib/rancher/config.toml'],
    ['containerd\0--config=/etc/containerd/config.toml\0', '/etc/containerd/config.toml'],
    ['containerd\0config\0dump\0', undefined],
    ['containerd\0--config\0/x\0publish\0', undefined],
  ])('%j reads %s', (commandLine, expected) => {
    expect(configOf(commandLine)).toBe(expected)
  })

  test.each([
    ['0::/system.slice/containerd.service\n', 'containerd.service'],
    ['12:pids:/system.slice/containerd.service\n0::/system.slice/containerd.service\n', 'containerd.service'],
    ['0::/user.slice/session.scope\n', undefined],
    ['0::/\n', undefined],
  ])('%j is of unit %s', (cgroup, unit) => {
    expect(unitOf(cgroup)).toBe(unit)
  })
})

describe("the node's containerd is looked for among processes", () => {
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
    const child = spawn(file, args, { stdio: ['pipe', 'ignore', 'ignore'] })
    children.push(child)
    // Wrappers execute it in place.
    await vi.waitFor(() => expect(readFileSync(`/proc/${child.pid}/comm`, 'utf8')).toBe('containerd\n'), 2_000)
    return child.pid ?? 0
  }
  const found = (pid: number) => runningContainerds(process.pid).filter((each) => each.pid === pid)

  test('of the host', async () => {
    const pid = await started(program)
    expect(found(pid)).toMatchObject([{ program, config: '/etc/containerd/config.toml' }])
  })

  test.each<[string, string[]]>([
    ['in a mount namespace of its own, as in a pod', ['unshare', '--mount']],
    ['in a user namespace of its own', ['unshare', '--user', '--map-root-user']],
    ['of another user than root', ['setpriv', '--reuid=65534', '--clear-groups']],
  ])('not one %s', async (_what, [wrapper = '', ...args]) => {
    chmodSync(dir, 0o755)
    const pid = await started(wrapper, ...args, program)
    expect(found(pid)).toEqual([])
  })
})

describe('files', () => {
  let dir: string
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'lamina-install-'))
  })
  afterEach(() => rmSync(dir, { recursive: true }))

  const file = (name: string, text: string, executable = false): InstalledFile => {
    const from = join(dir, 'app', name)
    mkdirSync(join(dir, 'app'), { recursive: true })
    writeFileSync(from, text)
    return { from, to: join(dir, 'opt', 'bin', name), executable }
  }

  test('are laid down in order, with the rights that they need', async () => {
    const files = [file('library', 'one'), file('program', 'two', true)]
    expect(await installFiles(files)).toEqual(files.map(({ to }) => to))
    expect(readFileSync(join(dir, 'opt/bin/library'), 'utf8')).toBe('one')
    expect(statSync(join(dir, 'opt/bin/library')).mode & 0o777).toBe(0o644)
    expect(statSync(join(dir, 'opt/bin/program')).mode & 0o777).toBe(0o755)
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

  test('of the runtime: Node with its own loader and libraries, and the launcher last', () => {
    const files = runtimeFiles({ installDir: '/opt/lamina' }, { appDir: '/app' })
    const names = files.map(({ to }) => to)
    for (const name of [
      'bin/node',
      'lib/ld.so',
      'lib/libc.so.6',
      'lib/koffi.node',
      'lib/skeleton.squashfs',
      'lib/catatonit',
    ])
      expect(names).toContain(`/opt/lamina/${name}`)
    expect(names.at(-1)).toBe('/opt/lamina/bin/lamina-runtime')
  })

  test('are not taken away while pods of instances are on the node', async () => {
    mkdirSync(join(dir, 'run', 'pods', 'uid-dev'), { recursive: true })
    const layout = { stateDir: join(dir, 'run'), installDir: join(dir, 'opt'), cacheDir: dir, kubeletDir: dir }
    await installFiles([file('program', 'two', true)])
    await expect(uninstall(layout)).rejects.toThrow(/uid uid-dev.*delete their Instances first/)
    expect(readFileSync(join(dir, 'opt/bin/program'), 'utf8')).toBe('two')
  })
})
