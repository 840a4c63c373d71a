import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { execa } from 'execa'
import { parse, stringify } from 'yaml'
import * as z from 'zod'
import type { Cluster } from '../../cluster/cluster.ts'
import { clusterFiles, operatorNamespace } from '../../cluster/layout.ts'
import { waitFor } from '../../cluster/wait.ts'
import { anonymousMemory } from '../memory.ts'
import { cpuOf } from './cpu.ts'
import { metricsOf, type Samples } from './samples.ts'

/**
 * The controller as a process of this machine, with the chart's flags, settings
 * and account: so its memory, its CPU time and its end are in our hands, and
 * roles and admission policies are those of production.
 */
export interface ControllerProcess {
  /** MiB. */
  memory(): Promise<number>
  /** Of user and kernel, in seconds. */
  cpu(): Promise<number>
  metrics(): Promise<Samples>
  /** Waits until its queues have been empty for a while. */
  quiet(): Promise<void>
  stop(): Promise<void>
}

const root = join(import.meta.dirname, '../../..')
const deployment = 'lamina-controller'

const run = async ([program, ...args]: [string, ...string[]]): Promise<string> => (await execa(program, args)).stdout

const deploymentSchema = z.object({
  spec: z.object({
    template: z.object({
      spec: z.object({
        containers: z.array(
          z.object({
            command: z.array(z.string()),
            env: z.array(z.object({ name: z.string(), value: z.string().optional() })),
          }),
        ),
      }),
    }),
  }),
})

const kubeconfigSchema = z.looseObject({ users: z.array(z.looseObject({ name: z.string() })) })

/** What the chart says: Node's flags and the environment, but for paths of the pod. */
const fromChart = async (cluster: Cluster) => {
  const text = await run(
    cluster.kube('kubectl', '-n', operatorNamespace, 'get', 'deployment', deployment, '-o', 'json'),
  )
  const { containers } = deploymentSchema.parse(JSON.parse(text)).spec.template.spec
  const [{ command, env } = { command: [], env: [] }] = containers
  return {
    flags: command.slice(1, -1),
    env: Object.fromEntries(
      env.flatMap(({ name, value }) => (value === undefined || value.startsWith('/') ? [] : [[name, value]])),
    ),
  }
}

/** The administrator's kubeconfig with the token of the controller's account. */
const kubeconfigOf = async (cluster: Cluster, dir: string): Promise<string> => {
  const token = await run(
    cluster.kube('kubectl', '-n', operatorNamespace, 'create', 'token', deployment, '--duration=24h'),
  )
  const config = kubeconfigSchema.parse(parse(await readFile(cluster.kubeconfig, 'utf8')))
  const users = config.users.map(({ name }) => ({ name, user: { token } }))
  const file = join(dir, 'kubeconfig')
  await writeFile(file, stringify({ ...config, users }), { mode: 0o600 })
  return file
}

const answers = (url: string): Promise<boolean> =>
  fetch(url).then(
    ({ ok }) => ok,
    () => false,
  )

const quietMs = 1_500

/** @param flags further ones of Node's, as for a profile */
export const startController = async (
  cluster: Cluster,
  { dir, flags = [] }: { dir: string; flags?: readonly string[] },
): Promise<ControllerProcess> => {
  const { logs, registriesConf } = clusterFiles(cluster.layout)
  const containers = join(dir, '.config/containers')
  await mkdir(containers, { recursive: true })
  await copyFile(registriesConf, join(containers, 'registries.conf'))
  const chart = await fromChart(cluster)
  const url = `http://127.0.0.1:${cluster.layout.ports.lamina}`
  const log = { file: join(logs, 'controller.log'), append: true }
  const child = execa(process.execPath, [...chart.flags, ...flags, join(root, 'dist/controller.cjs')], {
    cwd: dir,
    env: {
      ...chart.env,
      KUBECONFIG: await kubeconfigOf(cluster, dir),
      POD_NAME: 'bench',
      POD_NAMESPACE: operatorNamespace,
      NODE_COMPILE_CACHE: join(dir, 'compiled'),
      SCRATCH_DIR: dir,
      // Where skopeo looks first.
      HOME: dir,
    },
    stdout: log,
    stderr: log,
    buffer: false,
    reject: false,
  })
  const pid = child.pid ?? 0
  let hasEnded = false
  child.then(() => {
    hasEnded = true
  })
  await waitFor('readiness of the controller', 60, logs, () => answers(`${url}/readyz`))

  const metrics = async (): Promise<Samples> => {
    // On a machine that stands still for ten seconds it loses its lease, and ends.
    if (hasEnded) throw new Error(`the controller has ended by itself; see ${log.file}`)
    return metricsOf(await (await fetch(`${url}/metrics`)).text())
  }
  return {
    memory: () => anonymousMemory(`/proc/${pid}/status`),
    cpu: () => cpuOf(pid),
    metrics,
    quiet: async () => {
      let [before, since] = [-1, 0]
      await waitFor('an end of the controller’s work', 600, logs, async () => {
        const now = await metrics()
        const done = now.sum('controller_runtime_reconcile_total')
        const busy = now.sum('workqueue_depth') + now.sum('controller_runtime_active_workers') > 0
        if (busy || done !== before) [before, since] = [done, performance.now()]
        return performance.now() - since > quietMs
      })
    },
    stop: async () => {
      child.kill('SIGTERM')
      await child
      await sleep(100)
    },
  }
}
