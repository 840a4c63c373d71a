import { describe, expect, test } from 'vitest'
import { chooseRuntime, type NodeObservation } from './node-runtime.ts'
import type { RuntimeProcess } from './processes.ts'
import { addressOf, parseContainerd } from './toml.ts'

const process = (pid: number, program: string, args: string[] = [], unit?: string): RuntimeProcess => ({
  ...{ pid, program, args, unit, path: '/usr/bin', startTime: 0 },
  name: program.endsWith('crio') ? 'crio' : 'containerd',
})

const observe = (
  processes: RuntimeProcess[],
  { files = {}, ...rest }: Partial<NodeObservation> & { files?: Record<string, string> } = {},
) =>
  chooseRuntime({
    ...{ processes, caller: undefined, systemd: true, runtimeVersion: 'containerd://2.2.1' },
    read: (path) => files[path],
    addressIn: (text, path) => addressOf(parseContainerd(text, path)),
    ...rest,
  })

const plain = process(10, '/usr/bin/containerd', [], 'containerd.service')
const k3sArgs = [
  '-c',
  '/var/lib/rancher/k3s/agent/etc/containerd/config.toml',
  '-a',
  '/run/k3s/containerd/containerd.sock',
  '--state',
  '/run/k3s/containerd',
  '--root',
  '/var/lib/rancher/k3s/agent/containerd',
]
const k3s = process(20, '/var/lib/rancher/k3s/data/1f2e/bin/containerd', k3sArgs, 'k3s-agent.service')

describe('who keeps the configuration is seen in how the runtime is started', () => {
  test.each<[string, RuntimeProcess, Record<string, string>, object]>([
    [
      'containerd of a package',
      plain,
      {},
      {
        kind: 'containerd',
        config: '/etc/containerd/config.toml',
        restart: { by: 'systemd', unit: 'containerd.service' },
      },
    ],
    ['k3s', k3s, {}, { kind: 'k3s', restart: { by: 'systemd', unit: 'k3s-agent.service' } }],
    [
      'RKE2',
      process(
        1,
        '/var/lib/rancher/rke2/data/v1/bin/containerd',
        ['-c', '/var/lib/rancher/rke2/agent/etc/containerd/config.toml'],
        'rke2-server.service',
      ),
      {},
      { kind: 'rke2', restart: { by: 'systemd', unit: 'rke2-server.service' } },
    ],
    [
      'k3s with a data folder of its own',
      process(1, '/data/k3s/data/1f/bin/containerd', ['-c', '/data/k3s/agent/etc/containerd/config.toml']),
      {},
      { kind: 'k3s', config: '/data/k3s/agent/etc/containerd/config.toml', restart: { by: 'signal' } },
    ],
    [
      'k0s, which starts containerd itself',
      process(
        1,
        '/var/lib/k0s/bin/containerd',
        ['--root=/var/lib/k0s/containerd', '--config=/etc/k0s/containerd.toml'],
        'k0sworker.service',
      ),
      { '/etc/k0s/containerd.toml': '# k0s_managed=true\nversion = 3\n' },
      { kind: 'k0s', restart: { by: 'signal' } },
    ],
    [
      "k0s whose file is the administrator's",
      process(1, '/var/lib/k0s/bin/containerd', ['--config=/etc/k0s/containerd.toml']),
      { '/etc/k0s/containerd.toml': 'version = 3\n' },
      { kind: 'containerd', config: '/etc/k0s/containerd.toml' },
    ],
    [
      'MicroK8s',
      process(
        1,
        '/snap/microk8s/7229/bin/containerd',
        ['--config', '/var/snap/microk8s/7229/args/containerd.toml'],
        'snap.microk8s.daemon-containerd.service',
      ),
      { '/var/snap/microk8s/7229/args/containerd-template.toml': 'version = 2\n' },
      { kind: 'microk8s', restart: { by: 'systemd', unit: 'snap.microk8s.daemon-containerd.service' } },
    ],
    [
      'CRI-O',
      process(1, '/usr/bin/crio', ['--log-level', 'info'], 'crio.service'),
      {},
      { kind: 'crio', config: '/etc/crio/crio.conf', configDir: '/etc/crio/crio.conf.d' },
    ],
  ])('%s', (_what, running, files, expected) => {
    expect(observe([running], { files, runtimeVersion: '' })).toMatchObject(expected)
  })

  test('without systemd, whatever watches over it starts it anew', () => {
    expect(observe([plain], { systemd: false }).restart).toEqual({ by: 'signal' })
  })
})

describe("of several runtimes the kubelet's is taken", () => {
  test('that which started the agent, by its address', () => {
    const caller = { name: 'containerd', address: '/run/k3s/containerd/containerd.sock' } as const
    expect(observe([plain, k3s], { caller }).process.pid).toBe(20)
    expect(
      observe([plain, k3s], { caller: { ...caller, address: '/var/run/containerd/containerd.sock' } }).process.pid,
    ).toBe(10)
  })

  test.each([
    'version = 2\n[grpc]\naddress = "/run/odd.sock"\n',
    'version = 4\n[plugins."io.containerd.server.v1.grpc"]\naddress = "/run/odd.sock"\n',
  ])('also where the address is in its configuration: %j', (text) => {
    const files = { '/etc/containerd/config.toml': text }
    expect(observe([plain, k3s], { files, caller: { name: 'containerd', address: '/run/odd.sock' } }).process.pid).toBe(
      10,
    )
  })

  test('CRI-O beside the containerd of Docker', () => {
    const crio = process(30, '/usr/bin/crio')
    expect(observe([plain, crio], { caller: { name: 'crio' }, runtimeVersion: 'cri-o://1.33.1' }).process.pid).toBe(30)
    expect(observe([plain, crio], { runtimeVersion: 'cri-o://1.33.1' }).process.pid).toBe(30)
    expect(observe([plain, crio]).process.pid).toBe(10)
  })

  test('or none, in words, where that is not sure', () => {
    expect(() => observe([plain, k3s])).toThrow(/2 container runtimes run on this node: .*pid 10.*pid 20/)
    expect(() => observe([plain], { runtimeVersion: 'docker://28.0.0', caller: { name: 'crio' } })).toThrow(
      /no container runtime runs on this node itself.*docker:\/\/28.0.0.*found: \/usr\/bin\/containerd \(pid 10\)/,
    )
    expect(() => observe([])).toThrow(/found: none/)
  })
})
