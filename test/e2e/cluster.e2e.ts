import { readFile, readlink } from 'node:fs/promises'
import { createServer } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Cluster, down, openCluster, up } from '../cluster/cluster.ts'
import { sandboxImage } from '../cluster/components.ts'
import { clusterFiles, clusterLayout } from '../cluster/layout.ts'
import { createKubectl, type KubeObject } from './support/kubectl.ts'
import { leftoversOf } from './support/leftovers.ts'
import { loopsOf, onNode } from './support/node.ts'
import { until } from './support/until.ts'

const name = 'scratch'
const layout = clusterLayout(name)
const files = clusterFiles(layout)
const silently = (): void => {}

const kubectlOf = (cluster: Cluster) => createKubectl(cluster.kube('kubectl'), process.env)
const pidIn = async (file: string): Promise<number> => Number(await readFile(file, 'utf8'))
const pidNamespace = async () => readlink(`/proc/${await pidIn(files.supervisorPid)}/ns/pid`)

const claim = {
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  metadata: { name: 'data', namespace: 'default' },
  spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '64Mi' } } },
}

const pod = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'plain', namespace: 'default' },
  spec: {
    terminationGracePeriodSeconds: 1,
    containers: [
      {
        name: 'main',
        image: sandboxImage,
        imagePullPolicy: 'Never',
        volumeMounts: [{ name: 'data', mountPath: '/data' }],
      },
    ],
    volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'data' } }],
  },
}

/** A cluster with one pod on one volume: it holds a loop device, control groups and a network device. */
const populated = async (): Promise<Cluster> => {
  const cluster = await up(name, silently)
  const kubectl = kubectlOf(cluster)
  await kubectl.apply(claim, pod)
  await kubectl.run(['wait', '--for=condition=Ready', 'pod/plain', '--timeout=30s'])
  return cluster
}

beforeAll(() => down(name, silently))
afterAll(() => down(name, silently))

describe('a cluster with a running pod', () => {
  let cluster: Cluster
  beforeAll(async () => {
    cluster = await populated()
  })

  const container = (object: KubeObject) => object.status?.containerStatuses

  test('stays as it is when it is brought up again', async () => {
    const guardian = await pidIn(files.guardianPid)
    await up(name, silently)
    expect(await pidIn(files.guardianPid)).toBe(guardian)
  })

  test('grows a volume under the pod', async () => {
    const kubectl = kubectlOf(cluster)
    const size = async () => {
      const [device] = await loopsOf(files.volumes)
      return Number(await readFile(`/sys/block/${device?.device}/size`, 'utf8')) * 512
    }
    expect(await size()).toBeLessThan(128 * 2 ** 20)
    await kubectl.run(['patch', 'pvc', 'data', '-p', '{"spec":{"resources":{"requests":{"storage":"128Mi"}}}}'])
    await kubectl.run(['wait', 'pvc/data', '--for=jsonpath={.status.capacity.storage}=128Mi', '--timeout=20s'])
    expect(await size()).toBeGreaterThan(128 * 2 ** 20)
  })

  test('keeps the pod when containerd is killed', async () => {
    const kubectl = kubectlOf(cluster)
    const before = container(await kubectl.get('default', 'pod', 'plain'))
    await cluster.control('containerd', 'kill', 'SIGKILL')
    const ctr = [`${cluster.bin}/ctr`, '--address', '/run/containerd/containerd.sock', '--namespace', 'k8s.io']
    const tasks = await until('containerd is back', () => onNode(cluster, ...ctr, 'tasks', 'list'), { seconds: 10 })
    expect(tasks).toContain('RUNNING')
    expect(container(await kubectl.get('default', 'pod', 'plain'))).toEqual(before)
  })

  test('leaves nothing when it is taken down', async () => {
    const namespace = await pidNamespace()
    expect(await leftoversOf(layout, namespace)).not.toEqual([])
    await down(name, silently)
    expect(await leftoversOf(layout, namespace)).toEqual([])
  })
})

describe('a port that is in use', () => {
  test('is named with its holder', async () => {
    const server = createServer().listen(layout.ports.registry, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    try {
      await expect(up(name, silently)).rejects.toThrow(
        new RegExp(`port ${layout.ports.registry} \\(for registry\\) is held by process ${process.pid} \\(.*node`),
      )
    } finally {
      server.close()
    }
  })
})

describe('a cluster whose guardian or supervisor was killed', () => {
  const kill = async (pidFile: string): Promise<void> => {
    process.kill(await pidIn(pidFile), 'SIGKILL')
    await until('it is no longer up', async () => (await openCluster(name)) === undefined, { seconds: 10 })
  }

  test('comes up again, with its pods', async () => {
    await populated()
    const namespace = await pidNamespace()
    await kill(files.guardianPid)
    const again = await populated()
    expect(await pidNamespace()).not.toBe(namespace)
    expect(await loopsOf(again.layout.stateDir)).toHaveLength(1)
  })

  test.each([
    ['guardian', files.guardianPid],
    ['supervisor', files.supervisorPid],
  ])('leaves nothing when it is taken down (%s)', async (_, pidFile) => {
    await populated()
    const namespace = await pidNamespace()
    await kill(pidFile)
    await down(name, silently)
    expect(await leftoversOf(layout, namespace)).toEqual([])
  })
})
