import { existsSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { execa } from 'execa'
import { createCgroup } from './cgroup.ts'
import { type Cluster, postControl, type Report } from './cluster.ts'
import { ensureDebianContainerd } from './debian-containerd.ts'
import { importSandboxImage } from './images.ts'
import { clusterFiles, type NodePlace } from './layout.ts'
import { secondControl } from './second-node.ts'
import { waitFor } from './wait.ts'

/** The second node of a cluster, while it is there. */
export interface SecondNode {
  place: NodePlace
  /** A command line that runs in the node's namespaces. */
  inside(...command: string[]): [string, ...string[]]
  /** Stops, starts or kills one of its programs: containerd, kubelet. */
  control(component: string, action: 'start' | 'stop' | 'kill', signal?: NodeJS.Signals): Promise<void>
  /** Power cut: every process of the node ends at once. Its Node object and its pods stay in the API. */
  vanish(): Promise<void>
}

const outer = ['second-api', 'second-registry', 'second-kubelet'] as const

/** Process 1's child in the node's namespaces, as the machine numbers it. */
const findProcess = async ({ layout }: Cluster): Promise<string | undefined> => {
  const pattern = `^${process.execPath} [^ ]*/second-node.ts ${layout.name} `
  const { stdout } = await execa('pgrep', ['--full', pattern], { reject: false })
  return stdout.split('\n').filter(Boolean).at(0)
}

const succeeds = async ([program, ...args]: [string, ...string[]]): Promise<boolean> =>
  (await execa(program, args, { reject: false, timeout: 10_000 })).exitCode === 0

const ctr = ['ctr', '--address', '/run/containerd/containerd.sock', '--namespace', 'k8s.io', 'images'] as const

/** The first node's images: the operator's is in its containerd alone. */
const copyImages = async (cluster: Cluster, inside: SecondNode['inside']): Promise<void> => {
  const own = (...args: string[]): [string, ...string[]] => [`${cluster.bin}/${ctr[0]}`, ...ctr.slice(1), ...args]
  const [list, ...listArgs] = cluster.inside(...own('ls', '--quiet'))
  const { stdout } = await execa(list, listArgs)
  // Each is listed by its digests too.
  const names = stdout.split('\n').filter((name) => /\/[^@]+:[^@]+$/.test(name))
  const [from, ...fromArgs] = cluster.inside(...own('export', '--local', '-', ...names))
  const [to, ...toArgs] = inside(...own('import', '--local', '-'))
  await execa(from, fromArgs, { encoding: 'buffer', buffer: false }).pipe(execa(to, toArgs))
}

/** Starts it, or starts it again after it vanished, and waits until it takes pods. */
export const startSecondNode = async (cluster: Cluster, report: Report): Promise<SecondNode> => {
  const { layout } = cluster
  const { secondNode: place } = layout
  const { logs } = clusterFiles(layout)
  report(`starting node ${place.name}`)
  await ensureDebianContainerd()
  await mkdir(place.dir, { recursive: true })
  await rm(secondControl(layout), { force: true })
  await createCgroup(place.cgroup)
  for (const name of [...outer, 'second-node']) await cluster.control(name, 'start')

  let pid: string | undefined
  await waitFor('the processes of the second node', 10, logs, async () => {
    // It listens when it has become a machine of its own.
    if (!existsSync(secondControl(layout))) return false
    pid = await findProcess(cluster)
    return pid !== undefined
  })
  const inside: SecondNode['inside'] = (...command) => [
    'nsenter',
    ...['--target', pid ?? '', '--mount', '--pid', '--net', '--', ...command],
  ]
  const node: SecondNode = {
    place,
    inside,
    control: (component, action, signal) =>
      postControl(secondControl(layout), `/${component}/${action}${signal ? `?signal=${signal}` : ''}`),
    vanish: async () => {
      for (const name of ['second-node', ...outer]) await cluster.control(name, 'stop', 'SIGKILL')
    },
  }
  const socket = '/run/containerd/containerd.sock'
  await waitFor('its containerd', 30, logs, () => succeeds(inside('test', '-S', socket)))
  await importSandboxImage({ ...cluster, inside })
  await copyImages(cluster, inside)
  await waitFor(`node ${place.name}`, 60, logs, () =>
    succeeds(cluster.kube('kubectl', 'wait', '--for=condition=Ready', `node/${place.name}`, '--timeout=5s')),
  )
  report(`node ${place.name} is Ready`)
  return node
}
