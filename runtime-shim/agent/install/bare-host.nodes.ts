import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { build } from '../../../scripts/build.ts'
import { installFiles, runtimeFiles } from './files.ts'
import { selfTest } from './requirements.ts'
import { type BareHost, copyProgram, startBareHost } from './testing/bare-host.ts'

const layout = { installDir: '/opt/lamina' }
const launcher = '/opt/lamina/bin/lamina-runtime'
const path = '/usr/sbin:/usr/bin:/sbin:/bin'

let appDir: string
let bare: BareHost
beforeAll(async () => {
  appDir = mkdtempSync(join(tmpdir(), 'lamina-app-'))
  await build(appDir, ['lamina-runtime.cjs'])
  const files = runtimeFiles(layout, { appDir, underlying: 'runc' })
  bare = await startBareHost(async (root) => {
    await installFiles(files.map(({ to, ...file }) => ({ ...file, to: join(root, to) })))
  })
}, 60_000)
afterAll(async () => {
  await bare.stop()
  rmSync(appDir, { recursive: true })
})

const writeBundle = (config: string): string => {
  mkdirSync(join(bare.root, 'tmp/bundle/rootfs'), { recursive: true })
  writeFileSync(join(bare.root, 'tmp/bundle/config.json'), config)
  return '/tmp/bundle'
}

/** Of a bundle that is cut off: all but the launcher and Node are spared. */
const createInstance = (): string[] => {
  const bundle = writeBundle('{"annotations": {"io.kubernetes.cri.container-name": "main"')
  return ['create', '--bundle', bundle, 'c1']
}

describe('a host without a shell, glibc or any program', () => {
  test('has none', () => {
    for (const name of ['bin', 'lib', 'lib64', 'usr']) expect(existsSync(join(bare.root, name))).toBe(false)
  })

  test('runs Node; of an OCI runtime that it lacks it says so', async () => {
    await expect(selfTest(bare.host, layout, { underlying: 'runc', path })).rejects.toThrow(
      /the OCI runtime "runc" cannot be run with PATH .*runc.*not found; install it on the node, or name another/,
    )
  })

  test('has the create of an instance answered by Node', async () => {
    await expect(bare.host.run(launcher, createInstance(), path)).rejects.toThrow(/lamina: cannot find "runc" in/)
  })
})

describe('with an OCI runtime, and without a shell still', () => {
  beforeAll(() => copyProgram('/usr/sbin/runc', bare.root))

  test('it passes the test', async () => {
    expect(await selfTest(bare.host, layout, { underlying: 'runc', path })).toMatch(/^runc version/)
    expect(existsSync(join(bare.root, 'bin/sh'))).toBe(false)
  })

  test("instances are Node's", async () => {
    await expect(bare.host.run(launcher, createInstance(), path)).rejects.toThrow(/lamina: .*JSON/)
  })

  test('ordinary containers are created, run and deleted', async () => {
    const { stdout } = await execa('runc', ['spec', '--bundle', appDir]).then(() =>
      execa('cat', [join(appDir, 'config.json')]),
    )
    const bundle = writeBundle(
      stdout
        .replace('"terminal": true', '"terminal": false')
        .replace(/"args": \[\s*"sh"\s*\]/, '"args": ["/sh", "-c", "exit 0"]'),
    )
    const runtime = (...args: string[]) => bare.host.run(launcher, ['--root', '/run/oci', ...args], path)
    const { root } = bare
    await execa('cp', [join(root, 'opt/lamina/bin/sh'), join(root, 'tmp/bundle/rootfs/sh')])
    // A container inherits the descriptors of who creates it.
    await execa(
      'nsenter',
      [
        '--target',
        String(bare.host.pid),
        '--mount',
        '--',
        launcher,
        '--root',
        '/run/oci',
        'create',
        '--bundle',
        bundle,
        'c2',
      ],
      { stdio: 'ignore', env: { PATH: path } },
    )
    expect(await runtime('state', 'c2')).toContain('"status": "created"')
    await runtime('start', 'c2')
    await runtime('delete', '--force', 'c2')
    expect(await runtime('list', '--quiet')).toBe('')
  })
})
