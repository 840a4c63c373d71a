import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { closeSync, openSync } from 'node:fs'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import { execa } from 'execa'
import { ensureBinaries } from './builds.ts'
import { createCgroup } from './cgroup.ts'
import { importSandboxImage } from './images.ts'
import { type ClusterLayout, clusterFiles, clusterLayout } from './layout.ts'
import { ensurePki } from './pki.ts'
import { assertPortsFree } from './ports.ts'
import { hasEnded, runningProcess } from './processes.ts'
import { storageClasses } from './storage.ts'
import { sweep } from './sweep.ts'
import { waitFor } from './wait.ts'

export type Report = (line: string) => void

/** What tests, quickstart and command line do with a cluster that is up. */
export interface Cluster {
  layout: ClusterLayout
  kubeconfig: string
  /** Folder of the built binaries. */
  bin: string
  registry: { host: string; user: string; password: string }
  /** Runs kubectl, helm … of the multi-call binary; gives back the command line for callers that run it themselves. */
  kube(program: 'kubectl' | 'helm', ...args: string[]): [string, ...string[]]
  /** A command line that runs in the cluster's mount and pid namespaces. */
  inside(...command: string[]): [string, ...string[]]
  /** Stops, starts or kills one of the components; a killed one is started again by the supervisor. */
  control(component: string, action: 'start' | 'stop' | 'kill', signal?: NodeJS.Signals): Promise<void>
}

const registryUser = 'lamina'

const guardianProgram = 'test/cluster/guardian.ts'
const supervisorProgram = 'test/cluster/supervisor.ts'

const guardianOf = (layout: ClusterLayout) => runningProcess(clusterFiles(layout).guardianPid, guardianProgram)
const supervisorOf = (layout: ClusterLayout) => runningProcess(clusterFiles(layout).supervisorPid, supervisorProgram)

/** Tells a supervisor what to do with one of its programs. */
export const postControl = (socketPath: string, path: string): Promise<void> =>
  new Promise((resolve, reject) => {
    const call = request({ socketPath, path, method: 'POST' }, (response) => {
      response.resume()
      if (response.statusCode === 204) resolve()
      else reject(new Error(`the supervisor answered ${response.statusCode} to ${path}`))
    })
    call.once('error', reject)
    call.end()
  })

const openWith = async (layout: ClusterLayout, bin: string, supervisorPid: number): Promise<Cluster> => {
  const files = clusterFiles(layout)
  const kube = join(bin, 'kube')
  return {
    layout,
    kubeconfig: files.kubeconfig,
    bin,
    registry: {
      host: `127.0.0.1:${layout.ports.registry}`,
      user: registryUser,
      password: await readFile(files.registryPassword, 'utf8'),
    },
    kube: (program, ...args) => [kube, program, '--kubeconfig', files.kubeconfig, ...args],
    inside: (...command) => ['nsenter', '--target', String(supervisorPid), '--mount', '--pid', '--', ...command],
    control: (component, action, signal) =>
      postControl(files.control, `/${component}/${action}${signal ? `?signal=${signal}` : ''}`),
  }
}

/** The running cluster of that name; undefined when it is not up. */
export const openCluster = async (name: string): Promise<Cluster | undefined> => {
  const layout = clusterLayout(name)
  const [guardian, supervisor] = await Promise.all([guardianOf(layout), supervisorOf(layout)])
  // The guardian's last argument is the folder of binaries: a newer build is for the next start.
  const bin = guardian?.argv.at(-1)
  return bin === undefined || supervisor === undefined ? undefined : openWith(layout, bin, supervisor.pid)
}

const prepareRegistry = async (layout: ClusterLayout): Promise<void> => {
  const files = clusterFiles(layout)
  const dir = join(layout.stateDir, 'registry')
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const password = await readFile(files.registryPassword, 'utf8').catch(() => randomBytes(12).toString('hex'))
  await writeFile(files.registryPassword, password, { mode: 0o600 })
  const { stdout } = await execa('htpasswd', ['-nbB', registryUser, password])
  await writeFile(join(dir, 'htpasswd'), `${stdout.trim()}\n`)
}

const startGuardian = (layout: ClusterLayout, bin: string): void => {
  const log = openSync(join(clusterFiles(layout).logs, 'guardian.log'), 'a')
  const guardian = spawn(process.execPath, [join(import.meta.dirname, 'guardian.ts'), layout.name, bin], {
    detached: true,
    stdio: ['ignore', log, log],
  })
  closeSync(log)
  guardian.unref()
}

/** Starts the cluster's processes; its data of an earlier life is used again. */
const start = async (layout: ClusterLayout, report: Report): Promise<Cluster> => {
  const files = clusterFiles(layout)
  const bin = await ensureBinaries(report)
  await clearRemains(layout)
  await assertPortsFree({ ...layout.ports })

  report(`starting cluster ${layout.name}`)
  await mkdir(files.logs, { recursive: true })
  await mkdir(files.volumes, { recursive: true })
  await ensurePki(layout)
  await prepareRegistry(layout)
  await createCgroup(layout.node.cgroup)
  startGuardian(layout, bin)

  const running: { cluster?: Cluster | undefined } = {}
  await waitFor('the start of the supervisor', 10, files.logs, async () => {
    running.cluster = await openCluster(layout.name)
    return running.cluster !== undefined
  })
  if (!running.cluster) throw new Error(`the supervisor ended at once; see ${files.logs}/guardian.log`)
  return running.cluster
}

const succeeds = async ([program, ...args]: [string, ...string[]]): Promise<boolean> =>
  (await execa(program, args, { reject: false, timeout: 10_000 })).exitCode === 0

const answers = (url: string): Promise<boolean> =>
  fetch(url).then(
    ({ ok }) => ok,
    () => false,
  )

/** Waits until pods can be created and run, and puts in place what they need. */
const makeReady = async (cluster: Cluster, report: Report): Promise<void> => {
  const { layout } = cluster
  const { logs } = clusterFiles(layout)
  await waitFor('the API server', 60, logs, () => succeeds(cluster.kube('kubectl', 'get', '--raw', '/readyz')))
  report('API server is ready')
  const [kubectl, ...apply] = cluster.kube('kubectl', 'apply', '-f', '-')
  await execa(kubectl, apply, { input: storageClasses })
  await waitFor('the kubelet', 60, logs, () => answers(`http://127.0.0.1:${layout.ports.kubeletHealth}/healthz`))
  await importSandboxImage(cluster)
  await waitFor('the node', 60, logs, () =>
    succeeds(cluster.kube('kubectl', 'wait', '--for=condition=Ready', `node/${layout.node.name}`, '--timeout=5s')),
  )
  await waitFor('the default service account', 30, logs, () =>
    succeeds(cluster.kube('kubectl', 'get', 'serviceaccount', 'default')),
  )
  report(`node ${layout.node.name} is Ready`)
}

/**
 * Brings the cluster up and waits until its node takes pods; a cluster that is
 * up already stays as it is. One that does not become ready is stopped, and
 * its logs are kept.
 */
export const up = async (name: string, report: Report): Promise<Cluster> => {
  const running = await openCluster(name)
  if (running) report(`cluster ${name} is up already`)
  const cluster = running ?? (await start(clusterLayout(name), report))
  try {
    await makeReady(cluster, report)
  } catch (error) {
    if (!running) await down(name, report, { keepData: true })
    throw error
  }
  return cluster
}

/** Ends whatever half of the cluster still runs and removes what the processes left. */
const clearRemains = async (layout: ClusterLayout): Promise<void> => {
  const { guardianPid, supervisorPid, logs } = clusterFiles(layout)
  const guardian = await guardianOf(layout)
  // It ends the supervisor and waits for it. Without a guardian the kernel has done so (PR_SET_PDEATHSIG).
  if (guardian) process.kill(guardian.pid, 'SIGTERM')
  await waitFor('the end of the guardian', 30, logs, () => hasEnded(guardianPid, guardianProgram))
  await waitFor('the end of the supervisor', 30, logs, () => hasEnded(supervisorPid, supervisorProgram))
  await sweep(layout)
}

/** Takes the cluster down and sweeps; data (etcd, volumes, images) goes too unless `keepData`. */
export const down = async (name: string, report: Report, { keepData = false } = {}): Promise<void> => {
  const layout = clusterLayout(name)
  if (await guardianOf(layout)) report(`stopping cluster ${name}`)
  await clearRemains(layout)
  if (!keepData) await rm(layout.stateDir, { recursive: true, force: true })
  report(`cluster ${name} is down`)
}
