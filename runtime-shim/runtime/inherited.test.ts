import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { createRuntimeBench, type RuntimeBench } from '../../test/node/runtime-bench.ts'
import { installerPaths } from '../agent/install/files.ts'
import { installedPaths } from '../node/layout.ts'

let bench: RuntimeBench
beforeAll(async () => {
  bench = await createRuntimeBench()
}, 60_000)
afterAll(() => bench.close())

/** An instance's container, with leave to mount a throw-away overlay. */
const instance = (options: { args?: string[] } = {}) => {
  const ephemeral = join(bench.dir, 'ephemeral')
  mkdirSync(ephemeral, { recursive: true })
  const mountPath = '/.lamina/ephemeral'
  const container = bench.container({ mounts: [{ destination: mountPath, source: ephemeral }], ...options })
  bench.ticket(container.podUID, { ephemeral: { mountPath } })
  return container
}

/** A stand-in for runc that tells what it was given. */
const probe = (): string => {
  const path = join(bench.dir, 'probe.sh')
  writeFileSync(
    path,
    `#!/bin/sh
for fd in $(seq 0 9) $(seq 12 60); do [ ! -e /proc/$$/fd/$fd ] || printf '%s ' $fd; done; echo
grep -E '^Sig(Ign|Blk)' /proc/self/status
ulimit -Sn
ulimit -Hn
env | grep -E '^(LAMINA|NODE|LD_)' | sort
echo "$@"
`,
    { mode: 0o755 },
  )
  return path
}

describe('the runtime inherits what the caller gave: limits, signals, environment, arguments, and descriptors 0 to 2', () => {
  const become = (env: NodeJS.ProcessEnv) => {
    const container = instance()
    const output = join(bench.dir, 'probe.out')
    const { launcher } = installedPaths(bench.layout)
    const args = `--root ${bench.dir}/runc --log ${container.bundle}/log.json create --bundle ${container.bundle} ${container.id}`
    const script = `ulimit -Sn 333; ulimit -Hn 4444; exec 7</etc/passwd 9</etc/group; ${launcher} ${args} > ${output} 2>&1 </dev/null`
    execFileSync('sh', ['-c', script], { env: { ...bench.env, ...env } })
    return { args, lines: readFileSync(output, 'utf8').split('\n') }
  }

  const expectUntouched = ({ args, lines }: ReturnType<typeof become>, env: readonly string[]) => {
    // 10 and 11 are the shell's own that runs the probe.
    expect(lines[0]).toBe('0 1 2 ')
    expect(lines.slice(1, 5)).toEqual(['SigBlk:\t0000000000000000', 'SigIgn:\t0000000000000000', '333', '4444'])
    const given = [`LAMINA_CACHE_DIR=${bench.layout.cacheDir}`, ...env, `LAMINA_STATE_DIR=${bench.layout.stateDir}`]
    expect(lines.slice(5)).toEqual([...given, args, ''])
  }

  test('named by the environment', () => {
    const LAMINA_RUNTIME = probe()
    expectUntouched(become({ LAMINA_RUNTIME }), [`LAMINA_RUNTIME=${LAMINA_RUNTIME}`])
  })

  test('named by the installer', () => {
    writeFileSync(installerPaths(bench.layout).underlying, `${probe()}\n`)
    try {
      expectUntouched(become({}), [])
    } finally {
      rmSync(installerPaths(bench.layout).underlying)
    }
  })
})

test('pipes on 0 to 2 keep their flags: no O_NONBLOCK in the container', async () => {
  const script = 'for fd in 0 1 2; do grep flags /proc/self/fdinfo/$fd; done'
  const container = instance({ args: ['sh', '-c', `${script}; sleep 1000`] })
  const { launcher } = installedPaths(bench.layout)
  const args = [
    '--root',
    join(bench.dir, 'runc'),
    'create',
    '--bundle',
    container.bundle,
    '--pid-file',
    join(container.bundle, 'pid'),
    container.id,
  ]
  const child = spawn(launcher, args, {
    stdio: 'pipe',
    env: bench.env,
  })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
  })
  await vi.waitFor(() => expect(existsSync(join(container.bundle, 'pid'))).toBe(true), 5_000)
  bench.start(container)
  await vi.waitFor(() => expect(output.split('\n').length).toBeGreaterThan(3), 5_000)
  const flags = [...output.matchAll(/flags:\s*(\d+)/g)].map(([, octal]) => Number.parseInt(octal ?? '', 8))
  expect(flags).toHaveLength(3)
  for (const flag of flags) expect(flag & 0o4000).toBe(0)
  bench.kill(container)
  bench.delete(container)
  child.kill()
})
