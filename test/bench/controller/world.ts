import { randomBytes } from 'node:crypto'
import { execa } from 'execa'
import type { KubeClient } from '../../../kube/client.ts'
import { containerImages } from '../../../kube/resources.ts'
import type { Cluster, Report } from '../../cluster/cluster.ts'
import { clusterFiles } from '../../cluster/layout.ts'
import { follow, isReady } from '../follow.ts'
import { auditFrom } from './audit.ts'
import { controlPlaneCpu } from './cpu.ts'
import { imageName } from './objects.ts'
import type { ControllerProcess } from './process.ts'

/** What every measurement is handed. */
export interface World {
  cluster: Cluster
  client: KubeClient
  controller: ControllerProcess
  /** In the cluster's registry. */
  image: string
  report: Report
}

export const kubectl = async ({ cluster }: Pick<World, 'cluster'>, ...args: string[]): Promise<string> => {
  const [program, ...rest] = cluster.kube('kubectl', ...args)
  return (await execa(program, rest)).stdout
}

/** A namespace with the ContainerImage, resolved, and the credentials of its registry. */
export const makeNamespace = async (world: World, namespace: string): Promise<void> => {
  const { client, cluster, image } = world
  await kubectl(world, 'create', 'namespace', namespace)
  const { host, user, password } = cluster.registry
  const credentials = [`--docker-server=${host}`, `--docker-username=${user}`, `--docker-password=${password}`]
  await kubectl(world, '-n', namespace, 'create', 'secret', 'docker-registry', 'registry', ...credentials)
  const source = { registry: { image, pullSecrets: [{ name: 'registry' }] } }
  await client.create(containerImages, { metadata: { name: imageName }, spec: { source } }, namespace)
  await follow(client, containerImages, { namespace, name: imageName }, isReady)
}

export const removeNamespace = async (world: World, namespace: string): Promise<void> => {
  await kubectl(world, 'delete', 'namespace', namespace, '--timeout=20m')
}

/** Measures in a namespace of its own, which is gone afterwards. */
export const inNamespace = async <T>(world: World, act: (namespace: string) => Promise<T>): Promise<T> => {
  const namespace = `bench-${randomBytes(4).toString('hex')}`
  await makeNamespace(world, namespace)
  try {
    await world.controller.quiet()
    return await act(namespace)
  } finally {
    await removeNamespace(world, namespace)
    await world.controller.quiet()
  }
}

/** What something cost the controller. */
export interface Cost {
  requests: Awaited<ReturnType<Awaited<ReturnType<typeof auditFrom>>>>
  /** By the queue. */
  reconciles: Record<string, number>
  cpuSeconds: number
  /** Of the control plane without it. */
  planeSeconds: number
}

/** Begins to count; the function gives the costs since. */
export const costFrom = async ({ cluster, controller }: World): Promise<() => Promise<Cost>> => {
  const reconciles = async () => (await controller.metrics()).by('controller_runtime_reconcile_total', 'controller')
  const audited = await auditFrom(clusterFiles(cluster.layout).auditLog)
  const times = async () => [await controller.cpu(), await controlPlaneCpu(cluster.layout)] as const
  const before = await reconciles()
  const [cpuBefore, planeBefore] = await times()
  return async () => {
    const after = await reconciles()
    const [cpuAfter, planeAfter] = await times()
    return {
      requests: await audited(),
      reconciles: Object.fromEntries(Object.entries(after).map(([name, count]) => [name, count - (before[name] ?? 0)])),
      cpuSeconds: cpuAfter - cpuBefore,
      planeSeconds: planeAfter - planeBefore,
    }
  }
}
