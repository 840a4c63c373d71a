import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import * as z from 'zod'
import type { Cluster } from '../../cluster/cluster.ts'
import { registriesConfOf } from '../../cluster/images.ts'
import { clusterFiles } from '../../cluster/layout.ts'
import type { Kubectl } from './kubectl.ts'
import { operatorNamespace } from './operator.ts'
import { until } from './until.ts'
import { createWire, type Wire } from './wire.ts'

const program = join(import.meta.dirname, '../../../dist/controller.cjs')
const deployment = ['-n', operatorNamespace, 'deployment/lamina-controller'] as const

/** The installed controller on or off, waited for. */
export const scaleController = async (kubectl: Kubectl, replicas: number): Promise<void> => {
  await kubectl.run(['scale', ...deployment, `--replicas=${replicas}`])
  const selector = ['-n', operatorNamespace, '-l', 'app.kubernetes.io/component=controller']
  if (replicas === 0) await kubectl.run(['wait', 'pod', ...selector, '--for=delete', '--timeout=60s'])
  else await kubectl.run(['rollout', 'status', ...deployment, '--timeout=60s'])
}

const deploymentSchema = z.object({
  spec: z.object({
    template: z.object({
      spec: z.object({
        containers: z.tuple([z.object({ env: z.array(z.object({ name: z.string(), value: z.string().optional() })) })]),
      }),
    }),
  }),
})

/** Kubeconfig of the controller's account, as JSON. @param port of 127.0.0.1, where the API server is to be found */
export const controllerConfig = async (cluster: Cluster, kubectl: Kubectl, port: number): Promise<string> => {
  const token = await kubectl.run(['-n', operatorNamespace, 'create', 'token', 'lamina-controller', '--duration=1h'])
  const name = 'lamina'
  const authority = join(clusterFiles(cluster.layout).pki, 'ca.crt')
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster: { server: `https://127.0.0.1:${port}`, 'certificate-authority': authority } }],
    users: [{ name, user: { token: token.trim() } }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    'current-context': name,
  })
}

/** The settings that the chart gives it, without those that only hold in a pod. */
export const controllerSettings = async (kubectl: Kubectl): Promise<Record<string, string>> => {
  const json = await kubectl.run(['get', ...deployment, '-o', 'json'])
  const [{ env }] = deploymentSchema.parse(JSON.parse(json)).spec.template.spec.containers
  const chosen = new Set(['PLACEHOLDER_IMAGE', 'STORAGE_OVERHEAD', 'ALLOWED_SOURCES', 'LOG_LEVEL'])
  return Object.fromEntries(
    env.flatMap(({ name, value }) => (chosen.has(name) && value !== undefined ? [[name, value]] : [])),
  )
}

/** A replica of the controller on this machine: the chart's program, account and settings, with a wire of its own. */
export interface Replica {
  name: string
  wire: Wire
  /** `performance.now()` of its log's line "leading", while it has one. */
  leadsSince(): number | undefined
  signal(name: NodeJS.Signals): void
  /** Its exit code, and `performance.now()` of its end. */
  ended: Promise<{ exitCode: number; at: number }>
  /** How many requests to the API server it has made, by method. */
  requests(): Promise<Record<string, number>>
  /** Its log, line by line. */
  log: readonly string[]
}

export interface Replicas {
  start(name: string): Promise<Replica>
  /** Ends those that still run. */
  end(): Promise<void>
}

const startedSchema = z.object({ port: z.number(), msg: z.string().startsWith('serving') })

export const createReplicas = async (cluster: Cluster, kubectl: Kubectl): Promise<Replicas> => {
  const dir = await mkdtemp(join(tmpdir(), 'lamina-replicas-'))
  const settings = await controllerSettings(kubectl)
  const running = new Map<Replica, () => void>()

  const start: Replicas['start'] = async (name) => {
    const wire = await createWire(cluster.layout.ports.apiServer)
    const kubeconfig = join(dir, name)
    await writeFile(kubeconfig, await controllerConfig(cluster, kubectl, wire.port))
    const process = execa('node', [program], {
      env: {
        ...settings,
        KUBECONFIG: kubeconfig,
        POD_NAME: name,
        POD_NAMESPACE: operatorNamespace,
        PORT: '0',
        SCRATCH_DIR: dir,
        CONTAINERS_REGISTRIES_CONF: registriesConfOf(cluster),
      },
      reject: false,
      all: true,
      buffer: false,
    })
    const log: string[] = []
    let leading: number | undefined
    const follow = async (): Promise<void> => {
      for await (const line of process.iterable({ from: 'all' })) {
        log.push(line)
        if (line.includes('"msg":"leading"')) leading = performance.now()
      }
    }
    const followed = follow()
    const port = await until(
      `${name} serves`,
      async () => log.flatMap((line) => startedSchema.safeParse(JSON.parse(line)).data?.port ?? [])[0],
    )
    const replica: Replica = {
      name,
      wire,
      log,
      leadsSince: () => leading,
      signal: (signal) => process.kill(signal),
      ended: followed.then(async () => {
        const { exitCode = 255 } = await process
        wire.close()
        running.delete(replica)
        return { exitCode, at: performance.now() }
      }),
      requests: async () => {
        const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
        const counts: Record<string, number> = {}
        for (const [, method = '', count] of text.matchAll(/^rest_client_requests_total{method="(\w+)".*} (\d+)$/gm)) {
          counts[method] = (counts[method] ?? 0) + Number(count)
        }
        return counts
      },
    }
    running.set(replica, () => process.kill('SIGKILL'))
    return replica
  }
  return {
    start,
    end: async () => {
      const left = [...running]
      for (const [, kill] of left) kill()
      await Promise.all(left.map(([replica]) => replica.ended))
      await rm(dir, { recursive: true })
    },
  }
}
