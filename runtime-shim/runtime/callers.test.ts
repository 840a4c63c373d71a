import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { makeVolume } from '../../test/node/images.ts'
import { type BenchContainer, createRuntimeBench, type RuntimeBench } from '../../test/node/runtime-bench.ts'
import { attachedFiles } from '../mount/loop.ts'
import { installedPaths, rootPath } from '../node/layout.ts'

let bench: RuntimeBench
beforeAll(async () => {
  bench = await createRuntimeBench()
}, 60_000)
afterAll(() => bench.close())

const mountPath = '/.lamina/overlays/0'
const overlay = { name: 'work', uid: 'work-uid', access: 'ReadWrite', mountPath } as const
const podUID = '5f0e0d2c-0a1b-4c3d-8e9f-000000000001'
const underscored = podUID.replaceAll('-', '_')
const id = 'f00d'.repeat(16)

/** What the container runtimes write of the same container, beside the rest of its configuration. */
const containerd = {
  'io.kubernetes.cri.container-name': 'main',
  'io.kubernetes.cri.container-type': 'container',
  'io.kubernetes.cri.image-name': 'registry.example/lamina:0.1.0',
  'io.kubernetes.cri.sandbox-id': id,
  'io.kubernetes.cri.sandbox-name': 'dev',
  'io.kubernetes.cri.sandbox-namespace': 'default',
}
const criO = (name: string, uid: string) => ({
  'io.container.manager': 'cri-o',
  'io.kubernetes.container.hash': 'c0ffee',
  'io.kubernetes.container.name': name,
  'io.kubernetes.container.restartCount': '0',
  'io.kubernetes.cri-o.ContainerID': id,
  'io.kubernetes.cri-o.ContainerType': 'container',
  'io.kubernetes.cri-o.Labels': `{"io.kubernetes.container.name":"${name}","io.kubernetes.pod.uid":"${uid}"}`,
  'io.kubernetes.cri-o.Name': `k8s_${name}_dev_default_${uid}_0`,
  'io.kubernetes.cri-o.SandboxID': id,
  'io.kubernetes.pod.name': 'dev',
  'io.kubernetes.pod.namespace': 'default',
  'io.kubernetes.pod.uid': uid,
})

let count = 0
const volume = () => makeVolume(join(bench.dir, `volume-${count++}`))

/** A container of the instance's pod, as that runtime writes it. */
const container = (
  annotations: Record<string, string>,
  { cgroupsPath, directory = volume(), ...rest }: { cgroupsPath?: string; directory?: string; args?: string[] } = {},
): BenchContainer =>
  bench.container({
    podUID,
    mounts: [{ destination: mountPath, source: directory }],
    ...rest,
    change: (config) => ({
      ...config,
      annotations,
      linux: { ...config.linux, ...(cgroupsPath === undefined ? {} : { cgroupsPath }) },
    }),
  })

describe('the instance’s container is known, and its pod', () => {
  /** Does our part of create alone: cgroups of these names are not ours to make. */
  const isMade = (made: BenchContainer): boolean => {
    bench.ticket(podUID, { overlays: [overlay] })
    expect(bench.create(made, { LAMINA_RUNTIME: '/bin/true' })).toMatchObject({ exitCode: 0, stderr: '' })
    const { root } = JSON.parse(readFileSync(join(made.bundle, 'config.json'), 'utf8'))
    return root.path === rootPath(bench.layout, made.id)
  }

  test.each([
    ['containerd 1.6', containerd, `/kubepods/burstable/pod${podUID}/${id}`],
    ['containerd 1.7 with systemd', containerd, `kubepods-burstable-pod${underscored}.slice:cri-containerd:${id}`],
    ['containerd 2', { ...containerd, 'io.kubernetes.cri.sandbox-uid': podUID }, `/kubepods/pod${podUID}/${id}`],
    ['CRI-O', criO('main', podUID), `/kubepods/besteffort/pod${podUID}/crio-${id}`],
    ['CRI-O with systemd', criO('main', podUID), `kubepods-besteffort-pod${underscored}.slice:crio:${id}`],
  ])('by what %s writes', (_runtime, annotations, cgroupsPath) => {
    expect(isMade(container(annotations, { cgroupsPath }))).toBe(true)
  })

  test('a sidecar under CRI-O gains nothing by annotations of its pod that name it main', () => {
    const forged = { ...containerd, ...criO('sidecar', podUID) }
    expect(isMade(container(forged, { cgroupsPath: `/kubepods/pod${podUID}/crio-${id}` }))).toBe(false)
  })
})

describe('CRI-O, by way of conmon', () => {
  let dir: string
  beforeAll(() => {
    // A socket's path may have 107 bytes.
    dir = mkdtempSync(join(tmpdir(), 'crio-'))
    for (const name of ['exits', 'sockets', 'persist']) mkdirSync(join(dir, name))
  })
  afterAll(() => rmSync(dir, { recursive: true }))

  const root = () => `--root=${join(bench.dir, 'runc')}`
  const logOf = (made: BenchContainer) => join(made.bundle, 'log')

  /** Creates the container as CRI-O's runtimeOCI does; resolves to what conmon says of it on its pipe. */
  const create = async (made: BenchContainer): Promise<string> => {
    const { launcher } = installedPaths(bench.layout)
    const files = ['-l', logOf(made), '-P', join(dir, `${made.id}.pid`), '-p', join(made.bundle, 'pidfile')]
    const dirs = [
      '--exit-dir',
      join(dir, 'exits'),
      '--socket-dir-path',
      join(dir, 'sockets'),
      '--persist-dir',
      join(dir, 'persist'),
    ]
    const whose = ['-b', made.bundle, '-c', made.id, '-u', made.id, '-n', `k8s_main_${made.id}`]
    const args = [...whose, ...dirs, ...files, '--log-level', 'info', '-r', launcher, '--runtime-arg', root()]
    const conmon = spawn('conmon', args, {
      stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
      env: { ...bench.env, _OCI_SYNCPIPE: '3' },
    })
    const pipe = conmon.stdio[3]
    if (!pipe || !('readable' in pipe)) throw new Error('conmon has no pipe')
    for await (const said of pipe) return String(said)
    throw new Error('conmon said nothing')
  }

  const exitOf = (made: BenchContainer) => join(dir, 'exits', made.id)

  test('an instance runs, its end frees the overlay before anybody says `delete`, and restarts in place follow', async () => {
    bench.ticket(podUID, { overlays: [overlay] })
    const directory = volume()
    const made = (args: string[]) => container(criO('main', podUID), { directory, args })
    const first = made(['sh', '-c', 'echo kept > /foo; echo written; exit 3'])
    expect(JSON.parse(await create(first))).toEqual({ pid: expect.any(Number) })
    expect(bench.recordOf(first)).toMatchObject({ pidFile: join(first.bundle, 'pidfile') })
    bench.start(first)
    await vi.waitFor(() => expect(existsSync(exitOf(first))).toBe(true), 5_000)
    expect(readFileSync(exitOf(first), 'utf8')).toBe('3')
    expect(readFileSync(logOf(first), 'utf8')).toMatch(/stdout F written\n$/)
    await vi.waitFor(() =>
      expect(attachedFiles().map(({ path }) => path)).not.toContain(join(directory, 'overlay.img')),
    )

    const second = made(['cat', '/foo'])
    await create(second)
    bench.start(second)
    await vi.waitFor(() => expect(existsSync(exitOf(second))).toBe(true), 5_000)
    expect(readFileSync(logOf(second), 'utf8')).toMatch(/stdout F kept\n$/)

    // RemoveContainer, which comes when the kubelet collects dead containers.
    expect(bench.delete(first).exitCode).toBe(0)
    expect(bench.delete(second).exitCode).toBe(0)
    expect(bench.recordOf(second)).toBeUndefined()
    expect(bench.releaseOf(second)?.overlays).toMatchObject([{ released: true }])
  }, 30_000)

  test('why a create fails is what CRI-O tells the kubelet', async () => {
    const made = container(criO('main', podUID))
    bench.ticket(podUID, { overlays: [{ ...overlay, path: 'gone.img' }] })
    const said: unknown = JSON.parse(await create(made))
    expect(said).toEqual({
      pid: -1,
      message: expect.stringContaining('lamina: overlay "work": there is no gone.img in its volume'),
    })
  })
})
