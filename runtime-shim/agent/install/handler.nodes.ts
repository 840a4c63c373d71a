import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
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
const start = async (bin: string, text: string, by: 'program' | 'shell' = 'program'): Promise<void> => {
  containerd = await startContainerd({ bin, config, files: { [config]: text }, by })
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

  const isOff = () => !knows() && readdirSync(layout.installDir, { recursive: true }).toSorted().join() === 'bin,etc'

  test('cut off between configuration and restart, the next removal restarts it before the files go', async () => {
    await agent(nodeKeeper({}, { status }))
    const { host } = containerd
    const remove = (path: string): void => {
      host.files.remove(path)
      throw new Error('cut off')
    }
    const cut = { ...host, files: { ...host.files, remove } }
    await expect(removeHandler(layout, cut, containerd.runtime())).rejects.toThrow('cut off')
    expect(existsSync(join(containerd.dir, 'etc/containerd/conf.d/lamina.toml'))).toBe(false)
    // containerd still has the handler, and so what that leads to must be there.
    expect(knows()).toBe(true)
    expect(await host.run(launcher(), ['--version'], '/usr/sbin:/bin')).toMatch(/^runc version/)

    await removeHandler(layout, host, containerd.runtime())
    expect(containerd.starts()).toBe(3)
    expect(isOff()).toBe(true)
  }, 90_000)

  test('cut off after the restart, the next removal takes the files and restarts nothing', async () => {
    await agent(nodeKeeper({}, { status }))
    const late = join(layout.stateDir, 'pods', 'uid-late')
    const removal = removeHandler(layout, containerd.host, containerd.runtime())
    await vi.waitFor(() => expect(containerd.starts()).toBe(3), 20_000)
    // A pod that came in between is one way to be cut off there.
    mkdirSync(late, { recursive: true })
    await expect(removal).rejects.toThrow(/uid-late/)
    expect(existsSync(launcher())).toBe(true)
    rmSync(late, { recursive: true })

    await removeHandler(layout, containerd.host, containerd.runtime())
    expect(containerd.starts()).toBe(3)
    expect(isOff()).toBe(true)
  }, 90_000)

  test('an agent that was told so does not make the node ready again', async () => {
    const takeOff = (): object => {
      // As long as the kubelet is waited for.
      if (knows()) writeFileSync(join(layout.stateDir, 'taken-off'), '')
      return status()
    }
    const keeper = nodeKeeper({}, { status: takeOff })
    const { said } = await agent(keeper)
    expect(said[0]).toMatch(/"agent.cjs uninstall" takes the handler off this node/)
    expect(keeper.node.labels).toEqual({})
  }, 60_000)
})

test('a containerd that a shell has started is not ended; restarted by hand, the node is ready', async () => {
  await start(await containerd2(), fixture('v3-imports.toml'), 'shell')
  const keeper = nodeKeeper({}, { status })
  const { pid } = containerd.runtime().process
  const { said, told } = await agent(keeper, { looks: 2 })
  expect(said[1]).toMatch(/was started below sh .*which would not start it again.*Restart it yourself/)
  expect(told).toEqual([`HandlerRefused: ${said[1]}`])
  expect(containerd.runtime().process.pid).toBe(pid)
  expect(keeper.node.labels).toEqual({})

  process.kill(pid, 'SIGTERM')
  await vi.waitFor(() => expect(knows()).toBe(true), 20_000)
  expect(await agent(keeper)).toEqual({ said: [undefined], told: [] })
  expect(keeper.node.labels).toEqual({ 'lamina.dev/ready': 'true' })
  expect(containerd.starts()).toBe(2)
}, 90_000)

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
