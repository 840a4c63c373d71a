import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { silentLog } from '../../../kube/testing/silent-log.ts'
import { type ConfigureOptions, configure, hasHandler, unconfigure } from './configure.ts'
import { restartRuntime, restartWith } from './restart.ts'
import { containerd1, containerd2, type RunningContainerd, startContainerd } from './testing/containerds.ts'

const fixture = (name: string): string => readFileSync(join(import.meta.dirname, 'fixtures', name), 'utf8')

const running: RunningContainerd[] = []
afterEach(async () => {
  for (const each of running.splice(0)) await each.stop()
})

const launcher = '/opt/lamina/bin/lamina-runtime'
const optionsFor = (containerd: RunningContainerd): ConfigureOptions => ({
  host: containerd.host,
  runtime: containerd.runtime(),
  launcher,
  backupDir: join(containerd.dir, 'backup'),
})
const started = async (options: Parameters<typeof startContainerd>[0]): Promise<RunningContainerd> => {
  const containerd = await startContainerd(options)
  running.push(containerd)
  return containerd
}

const restarted = async (containerd: RunningContainerd): Promise<void> => {
  await restartRuntime(containerd.host, containerd.runtime(), AbortSignal.timeout(60_000))
}

/** What containerd itself says, at its start, of the configuration that it runs with. */
const saysOfHandler = (containerd: RunningContainerd): boolean =>
  /start(ing)? cri plugin/i.test(containerd.log()) && containerd.log().includes(launcher)

const templateOf = (text: string, dir: string): string => text.replace(/\{\{.*?\}\}/g, '').replaceAll('@', dir)

interface Case {
  name: string
  bin: () => Promise<string>
  kind: string
  config: string
  files: Record<string, string>
  /** The file that has the handler afterwards. */
  path: string
  /** Whether that file is somebody else's, and has only a block of ours. */
  shared: boolean
  render?(dir: string): void
}

const k3sDir = 'k3s/agent/etc/containerd'
/** As k3s does it: the first template that is there, else its own, rendered at each start. */
const renderK3s = (base: string) => (dir: string) => {
  const templates = ['config-v3.toml.tmpl', 'config.toml.tmpl'].map((name) => join(dir, k3sDir, name))
  const template = templates.find(existsSync)
  const text = template
    ? readFileSync(template, 'utf8').replace('{{ template "base" . }}', () => fixture(base))
    : fixture(base)
  writeFileSync(join(dir, k3sDir, 'config.toml'), templateOf(text, dir))
}

const microk8sArgs = 'var/snap/microk8s/7229/args'
/** As MicroK8s' wrapper does it. */
const renderMicrok8s = (dir: string): void => {
  const values = {
    SNAP_DATA: join(dir, 'var/snap/microk8s/7229'),
    SNAPSHOTTER: 'overlayfs',
    RUNTIME_TYPE: 'io.containerd.runc.v2',
    RUNTIME: 'runc',
  }
  const template = readFileSync(join(dir, microk8sArgs, 'containerd-template.toml'), 'utf8')
  const text = Object.entries(values).reduce((all, [name, value]) => all.replaceAll(`\${${name}}`, value), template)
  writeFileSync(join(dir, microk8sArgs, 'containerd.toml'), text)
}

/** As k0s does it: files of the folder are merged into its own for CRI. */
const renderK0s = (dir: string): void => {
  const own = join(dir, 'etc/k0s/containerd.d/lamina.toml')
  const tables = existsSync(own) ? readFileSync(own, 'utf8').replace(/^version.*$/m, '') : ''
  writeFileSync(join(dir, 'run/k0s/containerd-cri.toml'), `${fixture('k0s/containerd-cri.toml')}${tables}`)
}

const cases: Case[] = [
  {
    name: 'containerd 2 that imports a folder',
    ...{ bin: containerd2, kind: 'containerd', config: 'etc/containerd/config.toml' },
    files: { 'etc/containerd/config.toml': fixture('containerd/v3-imports.toml') },
    ...{ path: 'etc/containerd/conf.d/lamina.toml', shared: false },
  },
  {
    name: 'containerd 2 without an import',
    ...{ bin: containerd2, kind: 'containerd', config: 'etc/containerd/config.toml' },
    files: { 'etc/containerd/config.toml': fixture('containerd/v3.toml') },
    ...{ path: 'etc/containerd/config.toml', shared: true },
  },
  {
    name: "containerd 2 with containerd 1's configuration and an import",
    ...{ bin: containerd2, kind: 'containerd', config: 'etc/containerd/config.toml' },
    files: { 'etc/containerd/config.toml': fixture('containerd/v2-imports.toml') },
    ...{ path: 'etc/containerd/conf.d/lamina.toml', shared: false },
  },
  {
    name: 'containerd 1, as kubeadm nodes have it',
    ...{ bin: containerd1, kind: 'containerd', config: 'etc/containerd/config.toml' },
    files: { 'etc/containerd/config.toml': fixture('containerd/v2.toml') },
    ...{ path: 'etc/containerd/config.toml', shared: true },
  },
  {
    name: 'containerd 1 that imports a folder, whose files would take the place of all that it has',
    ...{ bin: containerd1, kind: 'containerd', config: 'etc/containerd/config.toml' },
    files: { 'etc/containerd/config.toml': fixture('containerd/v2-imports.toml') },
    ...{ path: 'etc/containerd/config.toml', shared: true },
  },
  {
    name: "containerd 1 with CRI's settings in an imported file",
    ...{ bin: containerd1, kind: 'containerd', config: 'etc/containerd/config.toml' },
    files: {
      'etc/containerd/config.toml': 'version = 2\nimports = ["@/etc/containerd/conf.d/*.toml"]\n',
      'etc/containerd/conf.d/cri.toml': fixture('containerd/v2.toml'),
    },
    ...{ path: 'etc/containerd/conf.d/cri.toml', shared: true },
  },
  {
    name: 'containerd 1 with the first version of the configuration',
    ...{ bin: containerd1, kind: 'containerd', config: 'etc/containerd/config.toml' },
    files: { 'etc/containerd/config.toml': fixture('containerd/v1.toml') },
    ...{ path: 'etc/containerd/config.toml', shared: true },
  },
  {
    name: 'containerd 1 without a word of handlers, which would lose the one that it has by default',
    ...{ bin: containerd1, kind: 'containerd', config: 'etc/containerd/config.toml' },
    files: {
      'etc/containerd/config.toml': 'version = 2\n\n[plugins."io.containerd.grpc.v1.cri"]\n  sandbox_image = "pause:1"',
    },
    ...{ path: 'etc/containerd/config.toml', shared: true },
  },
  {
    name: 'k3s, containerd 2',
    ...{ bin: containerd2, kind: 'k3s', config: `${k3sDir}/config.toml` },
    files: { [`${k3sDir}/config.toml`]: '' },
    render: renderK3s('k3s/config-v3.toml'),
    ...{ path: `${k3sDir}/config-v3.toml.d/lamina.toml`, shared: false },
  },
  {
    name: 'k3s of before the folders, containerd 2',
    ...{ bin: containerd2, kind: 'k3s', config: `${k3sDir}/config.toml` },
    files: { [`${k3sDir}/config.toml`]: '' },
    render: renderK3s('k3s/config-v3-without-imports.toml'),
    ...{ path: `${k3sDir}/config-v3.toml.tmpl`, shared: false },
  },
  {
    name: 'k3s, containerd 1',
    ...{ bin: containerd1, kind: 'k3s', config: `${k3sDir}/config.toml` },
    files: { [`${k3sDir}/config.toml`]: '' },
    render: renderK3s('k3s/config-v2.toml'),
    ...{ path: `${k3sDir}/config.toml.tmpl`, shared: false },
  },
  {
    name: "k3s with the administrator's template",
    ...{ bin: containerd2, kind: 'k3s', config: `${k3sDir}/config.toml` },
    files: {
      [`${k3sDir}/config.toml`]: '',
      [`${k3sDir}/config-v3.toml.tmpl`]: '{{ template "base" . }}\n[debug]\n  level = "info"',
    },
    render: renderK3s('k3s/config-v3-without-imports.toml'),
    ...{ path: `${k3sDir}/config-v3.toml.tmpl`, shared: true },
  },
  {
    name: 'k0s, containerd 2',
    ...{ bin: containerd2, kind: 'k0s', config: 'etc/k0s/containerd.toml' },
    files: { 'etc/k0s/containerd.toml': fixture('k0s/containerd-v3.toml') },
    ...{ path: 'etc/k0s/containerd.d/lamina.toml', shared: false },
  },
  {
    name: 'k0s of before 1.36, containerd 1',
    ...{ bin: containerd1, kind: 'k0s', config: 'etc/k0s/containerd.toml' },
    files: {
      'etc/k0s/containerd.toml': fixture('k0s/containerd-v2.toml'),
      'run/k0s/containerd-cri.toml': fixture('k0s/containerd-cri.toml'),
    },
    render: renderK0s,
    ...{ path: 'etc/k0s/containerd.d/lamina.toml', shared: false },
  },
  {
    name: "k0s whose configuration is the administrator's",
    ...{ bin: containerd2, kind: 'containerd', config: 'etc/k0s/containerd.toml' },
    files: { 'etc/k0s/containerd.toml': fixture('containerd/v3.toml') },
    ...{ path: 'etc/k0s/containerd.toml', shared: true },
  },
  {
    name: 'MicroK8s',
    ...{ bin: containerd2, kind: 'microk8s', config: `${microk8sArgs}/containerd.toml` },
    files: { [`${microk8sArgs}/containerd-template.toml`]: fixture('microk8s/containerd-template.toml') },
    render: renderMicrok8s,
    ...{ path: `${microk8sArgs}/containerd-template.toml`, shared: true },
  },
]

describe.each(cases)('$name', ({ bin, kind, config, files, path, shared, render }) => {
  test('takes the handler, keeps all else, and gives it back', { timeout: 120_000 }, async () => {
    const containerd = await started({ bin: await bin(), config, files, ...(render ? { render } : {}) })
    const file = join(containerd.dir, path)
    const before = existsSync(file) ? readFileSync(file, 'utf8') : undefined
    expect(containerd.runtime().kind).toBe(kind)

    const configured = await configure(optionsFor(containerd))
    expect(configured).toMatchObject({ path: file, changed: true })
    if (shared) expect(readFileSync(file, 'utf8').startsWith(before ?? '-')).toBe(true)
    await restarted(containerd)
    expect(await hasHandler(optionsFor(containerd))).toBe(true)
    expect(saysOfHandler(containerd)).toBe(true)
    expect(await containerd.plugins()).toMatch(/io\.containerd\.grpc\.v1\s+cri\s+\S+\s+ok/)

    expect(await configure(optionsFor(containerd))).toMatchObject({ path: file, changed: false })
    expect(await unconfigure(optionsFor(containerd))).toEqual([file])
    expect(existsSync(file) ? readFileSync(file, 'utf8') : undefined).toBe(before)
    await restarted(containerd)
    expect(await hasHandler(optionsFor(containerd))).toBe(false)
    expect(saysOfHandler(containerd)).toBe(false)
    expect(await unconfigure(optionsFor(containerd))).toEqual([])
  })
})

describe('a configuration that does not take the handler', () => {
  const config = 'etc/containerd/config.toml'

  test.each([
    ['containerd 1', containerd1, fixture('containerd/v2.toml')],
    ['containerd 2', containerd2, fixture('containerd/v3.toml')],
  ])('of %s is refused, and is not touched for a moment', { timeout: 60_000 }, async (_name, bin, text) => {
    // Inline tables cannot be added to.
    const inline = `plugins."io.containerd.cri.v1.runtime".containerd.runtimes = { runc = { runtime_type = "io.containerd.runc.v2" } }\n`
    const inlineV2 = inline.replace('cri.v1.runtime', 'grpc.v1.cri')
    const closed = text.startsWith('version = 2') ? `version = 2\n${inlineV2}` : `version = 3\n${inline}`
    const containerd = await started({ bin: await bin(), config, files: { [config]: closed } })
    const { ino } = statSync(containerd.config)
    await expect(configure(optionsFor(containerd))).rejects.toThrow(
      new RegExp(`would not take the handler.*tried in ${containerd.config}`),
    )
    expect(readFileSync(containerd.config, 'utf8')).toBe(closed)
    expect(statSync(containerd.config).ino).toBe(ino)
    expect(containerd.starts()).toBe(1)
  })

  test('because something writes it anew, is put back, and containerd runs as before', {
    timeout: 60_000,
  }, async () => {
    const text = fixture('containerd/v3.toml')
    const render = (dir: string): void => writeFileSync(join(dir, config), text)
    const containerd = await started({ bin: await containerd2(), config, files: { [config]: text }, render })
    const configured = await configure(optionsFor(containerd))
    const options = { log: silentLog, signal: AbortSignal.timeout(50_000), waitMs: 1_000 }
    await expect(restartWith(optionsFor(containerd), configured, options)).rejects.toThrow(
      /containerd has not taken up the handler from .*config.toml, although it was restarted/,
    )
    expect(readFileSync(containerd.config, 'utf8')).toBe(text)
    expect(await containerd.plugins()).toContain('cri')
    expect(containerd.starts()).toBe(3)
  })

  test('that has none yet is made, and taken away again', { timeout: 60_000 }, async () => {
    for (const bin of [containerd1, containerd2]) {
      const containerd = await started({ bin: await bin(), config, files: { [config]: '' } })
      rmSync(containerd.config)
      expect(await configure(optionsFor(containerd))).toMatchObject({ path: containerd.config, changed: true })
      await restarted(containerd)
      expect(saysOfHandler(containerd)).toBe(true)
      expect(await configure(optionsFor(containerd))).toMatchObject({ changed: false })
      await unconfigure(optionsFor(containerd))
      expect(existsSync(containerd.config)).toBe(false)
    }
  })
})
