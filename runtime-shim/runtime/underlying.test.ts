import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { makeVolume } from '../../test/node/images.ts'
import {
  type BenchContainer,
  type BundleConfig,
  createRuntimeBench,
  type RuntimeBench,
} from '../../test/node/runtime-bench.ts'
import { installerPaths } from '../agent/install/files.ts'
import { installedPaths } from '../node/layout.ts'

let dir: string
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'lamina-underlying-'))
})
afterAll(() => rmSync(dir, { recursive: true }))

const program = (name: string, script: string): string => {
  const path = join(dir, name)
  writeFileSync(path, `#!/bin/sh\n${script}\n`, { mode: 0o755 })
  return path
}

const mountPath = '/.lamina/overlays/0'
const overlay = { name: 'work', uid: 'work-uid', access: 'ReadWrite', mountPath } as const
let count = 0

const instance = (
  bench: RuntimeBench,
  options: { directory?: string; change?: (config: BundleConfig) => object } = {},
): BenchContainer => {
  const { directory = makeVolume(join(bench.dir, `volume-${count++}`)), ...rest } = options
  const container = bench.container({ mounts: [{ destination: mountPath, source: directory }], ...rest })
  bench.ticket(container.podUID, { overlays: [overlay] })
  return container
}

describe('the runtime that ours becomes', () => {
  let bench: RuntimeBench
  beforeAll(async () => {
    bench = await createRuntimeBench(program('from-file', 'echo "from the file: $*"'))
  }, 60_000)
  afterAll(() => bench.close())

  const says = (env: NodeJS.ProcessEnv, ...args: string[]): string =>
    execFileSync(installedPaths(bench.layout).launcher, args, { env: { ...bench.env, ...env }, encoding: 'utf8' })

  test('is the one of the installer’s file', () => {
    expect(says({}, 'state', 'x')).toBe('from the file: state x\n')
  })

  test('is the one of the environment before that', () => {
    const LAMINA_RUNTIME = program('from-environment', 'echo "from the environment: $*"')
    expect(says({ LAMINA_RUNTIME }, 'state', 'x')).toBe('from the environment: state x\n')
  })

  test('may be a name, found by PATH', () => {
    program('by-name', 'echo "by name: $*"')
    expect(says({ LAMINA_RUNTIME: 'by-name', PATH: `${dir}:${process.env.PATH}` }, 'state', 'x')).toBe(
      'by name: state x\n',
    )
  })

  test('is the same for what Node does first', () => {
    expect(bench.create(instance(bench)).stderr).toMatch(/^from the file: --root \S+ --log /)
  })

  test('is runc without that file', () => {
    rmSync(installerPaths(bench.layout).underlying)
    expect(says({}, '--version')).toMatch(/^runc version/)
  })
})

/** CRI-O reads stdout and stderr of `features` together, as JSON. */
test('`features` is the underlying runtime’s, and not a word of ours', async () => {
  const bench = await createRuntimeBench()
  try {
    const both = execFileSync('sh', ['-c', `${installedPaths(bench.layout).launcher} features 2>&1`], {
      env: bench.env,
    })
    expect(JSON.parse(both.toString())).toMatchObject({ ociVersionMin: expect.any(String) })
  } finally {
    bench.close()
  }
})

/**
 * crun wants cgroup v1 or v2, and refuses a machine that has some controllers in
 * each. Without its unified hierarchy such a machine is one of v1.
 */
const crun = 'exec unshare --mount sh -c \'umount /sys/fs/cgroup/unified 2>/dev/null; exec crun "$@"\' crun "$@"'

/** As nvidia-container-runtime does. */
const nvidia = 'exec runc "$@"'

describe.each([
  ['crun', crun],
  ['nvidia-container-runtime', nvidia],
])('on %s', (name, script) => {
  const calls = () => readFileSync(join(dir, `${name}.calls`), 'utf8').split('\n')
  let bench: RuntimeBench
  beforeAll(async () => {
    bench = await createRuntimeBench(program(name, `echo "$@" >> ${dir}/${name}.calls\n${script}`))
  }, 60_000)
  afterAll(() => bench.close())

  test('an instance lives as on runc: its writes stay, exec finds its user, the end frees all', () => {
    const directory = makeVolume(join(bench.dir, 'kept'))
    const first = instance(bench, { directory })
    bench.ticket(first.podUID, { overlays: [overlay], user: '1234', podGroups: [5000] })
    bench.started(first)
    expect(bench.exec(first, 'id').stdout).toContain('uid=1234')
    bench.ended(first)
    const { bundle, id } = first
    const state = `--root ${bench.dir}/runc`
    expect(calls()).toContain(
      `${state} --log ${bundle}/log.json --log-format json create --bundle ${bundle} --pid-file ${bundle}/pid ${id}`,
    )
    expect(calls()).toContain(`${state} delete --force ${id}`)
    const second = bench.started(instance(bench, { directory }))
    expect(bench.exec(second, 'sh', '-c', 'echo kept > /foo; cat /foo').stdout).toBe('kept\n')
    expect(bench.ended(second).exitCode).toBe(0)
    expect(bench.releaseOf(second)?.overlays).toMatchObject([{ released: true, figures: { needsRecovery: false } }])
    const third = bench.started(instance(bench, { directory }))
    expect(bench.exec(third, 'cat', '/foo').stdout).toBe('kept\n')
    bench.ended(third)
  })

  describe('a device by CDI', () => {
    /** What containerd or CRI-O puts into a bundle by a CDI specification, nvidia-ctk's for one. */
    const withCdi = (config: BundleConfig) => {
      const library = join(dir, 'libcuda.so.1')
      writeFileSync(library, 'the driver\n')
      const hook = program(
        'update-ldcache',
        `bundle=$(sed 's/.*"bundle":"\\([^"]*\\)".*/\\1/')
root=$(sed 's/.*"root":{"path":"\\([^"]*\\)".*/\\1/' "$bundle/config.json")
echo "$@" > "$root/etc/hooked"`,
      )
      const numbers = { type: 'c', major: 1, minor: 5 }
      return {
        ...config,
        process: { ...config.process, env: [...config.process.env, 'NVIDIA_VISIBLE_DEVICES=void'] },
        mounts: [
          ...config.mounts,
          {
            destination: '/usr/lib/libcuda.so.1',
            type: 'bind',
            source: library,
            options: ['ro', 'nosuid', 'nodev', 'bind'],
          },
        ],
        hooks: {
          createContainer: [{ path: hook, args: ['nvidia-ctk', 'hook', 'update-ldcache', '--folder', '/usr/lib'] }],
        },
        linux: {
          ...config.linux,
          devices: [{ path: '/dev/nvidia0', ...numbers, fileMode: 0o666, uid: 0, gid: 0 }],
          resources: {
            devices: [
              { allow: false, access: 'rwm' },
              { allow: true, ...numbers, access: 'rw' },
            ],
          },
        },
      }
    }

    let container: BenchContainer
    let before: ReturnType<typeof withCdi>
    beforeEach(() => {
      container = instance(bench, {
        change: (config) => {
          before = withCdi(config)
          return before
        },
      })
      bench.started(container)
    })
    afterEach(() => {
      bench.ended(container)
    })

    test('is in the bundle as it was, beside our root', () => {
      const after = JSON.parse(readFileSync(join(container.bundle, 'config.json'), 'utf8'))
      expect(after.hooks).toEqual(before.hooks)
      expect(after.linux).toEqual(before.linux)
      expect(after.process).toEqual(before.process)
      expect(after.mounts.slice(0, -1)).toEqual(before.mounts.filter(({ destination }) => destination !== mountPath))
    })

    test('is in the container: node, library, environment, and what its hook made in our root', () => {
      const script =
        'dd if=/dev/nvidia0 of=/zeros bs=4 count=1 2>/dev/null; cat /zeros /usr/lib/libcuda.so.1 /etc/hooked'
      expect(bench.exec(container, 'sh', '-c', script).stdout).toBe(
        '\0\0\0\0the driver\nhook update-ldcache --folder /usr/lib\n',
      )
      expect(bench.exec(container, 'sh', '-c', 'echo $NVIDIA_VISIBLE_DEVICES').stdout).toBe('void\n')
    })
  })
})
