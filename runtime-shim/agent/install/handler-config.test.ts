import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { crioDropIn, defaultHandler, defaultRuntimeIn, knowsHandler, monitorPath } from './crio.ts'
import { addsOnlyHandler, handlerFrom, handlerTables, ordinaryProgram } from './handler-config.ts'
import { parseContainerd, parseCrio } from './toml.ts'

const launcher = '/opt/lamina/bin/lamina-runtime'
const plugin = `plugins."io.containerd.cri.v1.runtime"`

const dump = (runc: string, options: string, more = '') =>
  parseContainerd(
    `version = 3
[${plugin}.containerd]
default_runtime_name = "runc"
[${plugin}.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
${runc}
[${plugin}.containerd.runtimes.runc.options]
${options}
${more}`,
    'the dump',
  )

describe('the handler', () => {
  test("is as the node's own is in all but the program", () => {
    const own = dump(
      `base_runtime_spec = "/etc/containerd/base.json"
snapshotter = "stargz"
cni_conf_dir = "/etc/cni/lamina"
privileged_without_host_devices = true
pod_annotations = []
cni_max_conf_num = 0`,
      'SystemdCgroup = true\nBinaryName = "/usr/bin/crun"\nRoot = ""',
    )
    expect(
      handlerTables({ lamina: handlerFrom(own, launcher) }, 3),
    ).toBe(`[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.lamina]
base_runtime_spec = "/etc/containerd/base.json"
snapshotter = "stargz"
cni_conf_dir = "/etc/cni/lamina"
privileged_without_host_devices = true
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.lamina.options]
SystemdCgroup = true
BinaryName = "/opt/lamina/bin/lamina-runtime"
`)
    expect(ordinaryProgram(own)).toBe('/usr/bin/crun')
    expect(ordinaryProgram(dump('', 'BinaryName = ""'))).toBeUndefined()
  })

  test.each([
    [undefined, '[plugins.cri.containerd.runtimes.lamina]'],
    [2, '[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.lamina]'],
    [4, '[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.lamina]'],
  ])('has its table where version %s of the configuration has it', (version, table) => {
    expect(handlerTables({ lamina: handlerFrom(dump('', ''), launcher) }, version)).toContain(table)
  })

  test('must be all that a change adds', () => {
    const before = dump('', 'SystemdCgroup = true')
    const ours = handlerTables({ lamina: handlerFrom(before, launcher) }, 3)
    expect(addsOnlyHandler(before, dump('', 'SystemdCgroup = true', ours), launcher)).toBe(true)
    expect(addsOnlyHandler(before, dump('', 'SystemdCgroup = false', ours), launcher)).toBe(false)
    expect(addsOnlyHandler(before, dump('', 'SystemdCgroup = true'), launcher)).toBe(false)
    expect(addsOnlyHandler(before, dump('', 'SystemdCgroup = true', ours), '/elsewhere')).toBe(false)
  })

  test('is of no use from a file that is no TOML', () => {
    expect(() => parseContainerd('version = ', '/etc/containerd/config.toml')).toThrow(
      /cannot read \/etc\/containerd\/config.toml/,
    )
  })
})

describe('for CRI-O', () => {
  const read = (name: string) => readFileSync(join(import.meta.dirname, 'fixtures/crio', name), 'utf8')
  const ordinary = defaultHandler([parseCrio(read('10-crio.conf'), '10-crio.conf')], 'crun')

  test('the handler is watched over as the default one is, and lets no annotation through', () => {
    expect(crioDropIn(ordinary, launcher)).toBe(`# Written by Lamina's node agent.
[crio.runtime.runtimes.lamina]
runtime_path = "/opt/lamina/bin/lamina-runtime"
runtime_type = "oci"
runtime_root = "/run/crun"
monitor_path = "/usr/libexec/crio/conmon"
monitor_cgroup = "system.slice"
monitor_env = [ "PATH=/usr/libexec/crio:/usr/bin:/bin" ]
`)
    expect(ordinary?.runtime_path).toBe('/usr/libexec/crio/crun')
    expect(monitorPath(ordinary)).toBe('/usr/libexec/crio:/usr/bin:/bin')
  })

  test('later files win', () => {
    const later = parseCrio('[crio.runtime.runtimes.crun]\nruntime_path = "/later"\n', '20-later.conf')
    const first = parseCrio(read('10-crio.conf'), '10-crio.conf')
    expect(defaultHandler([first, later], 'crun')?.runtime_path).toBe('/later')
    expect(defaultHandler([later, first], 'crun')?.runtime_path).toBe('/usr/libexec/crio/crun')
  })

  test('CRI-O itself says what it would run with', () => {
    expect(defaultRuntimeIn(read('crio-config.txt'))).toBe('crun')
    expect(defaultRuntimeIn('# default_runtime = "crun"\n')).toBe('crun')
    expect(knowsHandler(read('crio-config.txt'), launcher)).toBe(true)
    expect(knowsHandler(read('crio-config.txt'), '/usr/libexec/crio/crun')).toBe(false)
    expect(knowsHandler(read('crio-config.txt').replaceAll('lamina]', 'other]'), launcher)).toBe(false)
  })
})
