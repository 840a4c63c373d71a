import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { silentLog } from '../../../kube/testing/silent-log.ts'
import { build } from '../../../scripts/build.ts'
import { installedPaths, type NodeLayout } from '../../node/layout.ts'
import { keepHandler } from './handler.ts'
import { containerd1, containerd2, type RunningContainerd, startContainerd } from './testing/containerds.ts'
import { nodeKeeper } from './testing/node-keeper.ts'
import { removeHandler } from './uninstall.ts'

const config = 'etc/containerd/config.toml'
const fixture = (name: string): string => readFileSync(join(import.meta.dirname, 'fixtures/containerd', name), 'utf8')

let containerd: RunningContainerd
let layout: NodeLayout
const start = async (bin: string, text: string): Promise<void> => {
  containerd = await startContainerd({ bin, config, files: { [config]: text } })
  layout = {
    ...{ installDir: join(containerd.dir, 'opt'), stateDir: join(containerd.dir, 'lamina') },
    ...{ cacheDir: containerd.dir, kubeletDir: containerd.dir },
  }
  mkdirSync(layout.stateDir)
  await build(join(containerd.dir, 'app'), ['lamina-runtime.cjs'])
}
afterEach(() => containerd.stop())

const launcher = () => installedPaths(layout).launcher
/** What containerd says of its configuration at its start is what the kubelet would be told. */
const knows = (): boolean => containerd.log().includes(launcher())
const status = () => ({
  nodeInfo: { containerRuntimeVersion: 'containerd://2.2.1' },
  runtimeHandlers: ['runc', ...(knows() ? ['lamina'] : [])].map((name) => ({ name })),
})

/** Runs an agent until it has said `looks` times how things stand. */
const agent = async (keeper: ReturnType<typeof nodeKeeper>, { looks = 1, underlying = '' } = {}) => {
  const stopping = new AbortController()
  const said: (string | undefined)[] = []
  const told: string[] = []
  const options = {
    ...{ host: containerd.host, layout, appDir: join(containerd.dir, 'app'), underlying, nodeName: 'n' },
    ...{
      client: keeper.client,
      log: silentLog,
      signal: AbortSignal.any([stopping.signal, AbortSignal.timeout(60_000)]),
    },
    events: { event: (_about: object, _type: string, reason: string, text: string) => told.push(`${reason}: ${text}`) },
  }
  await keepHandler(options, (trouble) => {
    if (said.push(trouble) === looks) stopping.abort()
  })
  return { said, told }
}

describe('an agent on a node with containerd 2', () => {
  beforeEach(async () => start(await containerd2(), fixture('v3-imports.toml')))

  test('makes it ready; the next one finds all in place, and restarts nothing', async () => {
    const keeper = nodeKeeper({}, { status })
    expect(await agent(keeper)).toEqual({ said: [undefined], told: [] })
    expect(keeper.node.labels).toEqual({ 'lamina.dev/ready': 'true' })
    expect(containerd.starts()).toBe(2)
    expect(readFileSync(join(layout.installDir, 'etc/runtime'), 'utf8')).toBe('runc\n')

    expect(await agent(keeper)).toEqual({ said: [undefined], told: [] })
    expect(containerd.starts()).toBe(2)
    expect(keeper.node.writes).toBe(1)
  }, 90_000)

  test('restarts it also when the one before was killed between file and restart', async () => {
    const keeper = nodeKeeper({}, { status })
    await agent(keeper)
    const dropIn = join(containerd.dir, 'etc/containerd/conf.d/lamina.toml')
    const text = readFileSync(dropIn, 'utf8')
    await new Promise((resolve) => setTimeout(resolve, 50))
    writeFileSync(dropIn, text)
    await agent(keeper)
    expect(containerd.starts()).toBe(3)
  }, 90_000)

  test('refuses it for want of the OCI runtime that was asked for, and tells the Node; nothing is changed', async () => {
    const keeper = nodeKeeper({ 'lamina.dev/ready': 'true' }, { status })
    const { said, told } = await agent(keeper, { looks: 3, underlying: '/usr/bin/no-such-runtime' })
    expect(said[2]).toMatch(/the OCI runtime "\/usr\/bin\/no-such-runtime" cannot be run .*agent.runtime/)
    expect(told[0]).toBe(`HandlerRefused: ${said[2]}`)
    expect(keeper.node.labels).toEqual({ 'lamina.dev/ready': 'false' })
    expect(containerd.starts()).toBe(1)
    expect(readdirSync(join(containerd.dir, 'etc/containerd'))).toEqual(['config.toml'])
  }, 60_000)

  test('becomes the OCI runtime that was asked for', async () => {
    await agent(nodeKeeper({}, { status }), { underlying: '/usr/sbin/runc' })
    expect(readFileSync(join(layout.installDir, 'etc/runtime'), 'utf8')).toBe('/usr/sbin/runc\n')
    expect(await containerd.host.run(launcher(), ['--version'], '/usr/bin:/bin')).toMatch(/^runc version/)
  }, 60_000)

  test('takes all off again, but not under pods of instances', async () => {
    await agent(nodeKeeper({}, { status }))
    mkdirSync(join(layout.stateDir, 'pods', 'uid-dev'), { recursive: true })
    await expect(removeHandler(layout, containerd.host, containerd.runtime())).rejects.toThrow(/uid-dev/)
    expect(await containerd.host.run(launcher(), ['--version'], '/usr/sbin:/bin')).toMatch(/^runc version/)
    rmSync(join(layout.stateDir, 'pods', 'uid-dev'), { recursive: true })

    await removeHandler(layout, containerd.host, containerd.runtime())
    expect(containerd.starts()).toBe(3)
    expect(knows()).toBe(false)
    expect(readdirSync(layout.installDir, { recursive: true }).toSorted()).toEqual(['bin', 'etc'])
    expect(readdirSync(join(containerd.dir, 'etc/containerd'), { recursive: true }).toSorted()).toEqual([
      'conf.d',
      'config.toml',
    ])
    // Nothing to do, and so no restart.
    await removeHandler(layout, containerd.host, containerd.runtime())
    expect(containerd.starts()).toBe(3)
  }, 90_000)
})

test('of containerd 1, which tells the kubelet nothing of handlers, its own start is believed', async () => {
  await start(await containerd1(), fixture('v2.toml'))
  const keeper = nodeKeeper({}, { status: () => ({ nodeInfo: { containerRuntimeVersion: 'containerd://1.6.20' } }) })
  expect(await agent(keeper)).toEqual({ said: [undefined], told: [] })
  expect(knows()).toBe(true)
  expect(keeper.node.labels).toEqual({ 'lamina.dev/ready': 'true' })
  expect(await agent(keeper)).toEqual({ said: [undefined], told: [] })
  expect(containerd.starts()).toBe(2)
  const backup = join(layout.installDir, 'etc/backup', `${containerd.config.slice(1).replaceAll('/', '-')}`)
  expect(readFileSync(backup, 'utf8')).toBe(fixture('v2.toml'))
}, 90_000)
