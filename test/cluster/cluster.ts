import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { openSync } from 'node:fs'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { execa } from 'execa'
import { ensureBinaries } from './builds.ts'
import { createCgroup } from './cgroup.ts'
import { importSandboxImage } from './images.ts'
import { type ClusterLayout, clusterFiles, clusterLayout } from './layout.ts'
import { ensurePki } from './pki.ts'
import { assertPortsFree } from './ports.ts'
import { storageClasses } from './storage.ts'
import { sweep } from './sweep.ts'

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

export const registryUser = 'lamina'

const alive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

const readPid = async (file: string): Promise<number | undefined> => {
  const text = await readFile(file, 'utf8').catch(() => '')
  const pid = Number(text)
  return pid > 0 && alive(pid) ? pid : undefined
}

const postControl = (socketPath: string, path: string): Promise<void> =>
  new Promise((resolve, reject) => {
    const call = request({ socketPath, path, method: 'POST' }, (response) => {
      response.resume()
      if (response.statusCode === 204) resolve()
      else reject(new Error(`the supervisor answered ${response.statusCode} to ${path}`))
    })
    call.once('error', reject)
    call.end()
  })

const openWith = async (layout: ClusterLayout, bin: string, supervisor: number): Promise<Cluster> => {
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
    inside: (...command) => ['nsenter', '--target', String(supervisor), '--mount', '--pid', '--', ...command],
    control: (component, action, signal) =>
      postControl(files.control, `/${component}/${action}${signal ? `?signal=${signal}` : ''}`),
  }
}

/** The running cluster of that name; undefined when it is not up. */
export const openCluster = async (name: string): Promise<Cluster | undefined> => {
  const layout = clusterLayout(name)
  const files = clusterFiles(layout)
  const guardian = await readPid(files.guardianPid)
  const supervisor = await readPid(files.supervisorPid)
  if (guardian === undefined || supervisor === undefined) return undefined
  return openWith(layout, await ensureBinaries(() => {}), supervisor)
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

/** Asks until the answer is yes; a component that is not there yet is no failure. */
const waitFor = async (what: string, seconds: number, logs: string, ask: () => Promise<boolean>): Promise<void> => {
  const deadline = performance.now() + seconds * 1000
  while (!(await ask())) {
    if (performance.now() > deadline) throw new Error(`${what} did not happen within ${seconds} s; see ${logs}`)
    await sleep(150)
  }
}

const succeeds = async ([program, ...args]: [string, ...string[]]): Promise<boolean> =>
  (await execa(program, args, { reject: false, timeout: 10_000 })).exitCode === 0

const startGuardian = (layout: ClusterLayout, bin: string): void => {
  const log = openSync(join(clusterFiles(layout).logs, 'guardian.log'), 'a')
  const guardian = spawn(process.execPath, [join(import.meta.dirname, 'guardian.ts'), layout.name, bin], {
    detached: true,
    stdio: ['ignore', log, log],
  })
  guardian.unref()
}

/** Brings the cluster up and waits until its node takes pods; a cluster that is up already stays as it is. */
export const up = async (name: string, report: Report): Promise<Cluster> => {
  const running = await openCluster(name)
  if (running) {
    report(`cluster ${name} is up already`)
    return running
  }
  const layout = clusterLayout(name)
  const files = clusterFiles(layout)
  const bin = await ensureBinaries(report)
  await sweep(layout)
  await assertPortsFree({ ...layout.ports })

  report(`starting cluster ${name}`)
  await mkdir(files.logs, { recursive: true })
  await mkdir(files.volumes, { recursive: true })
  await ensurePki(layout)
  await prepareRegistry(layout)
  await createCgroup(layout.cgroup)
  startGuardian(layout, bin)

  await waitFor('the supervisor', 10, files.logs, async () => (await readPid(files.supervisorPid)) !== undefined)
  const supervisor = await readPid(files.supervisorPid)
  if (supervisor === undefined) throw new Error(`the supervisor ended at once; see ${files.logs}/guardian.log`)
  const cluster = await openWith(layout, bin, supervisor)
  await waitFor('the API server', 60, files.logs, () => succeeds(cluster.kube('kubectl', 'get', '--raw', '/readyz')))
  report('API server is ready')
  const [kubectl, ...apply] = cluster.kube('kubectl', 'apply', '-f', '-')
  await execa(kubectl, apply, { input: storageClasses })
  await importSandboxImage(cluster)
  await waitFor('the node', 60, files.logs, () =>
    succeeds(cluster.kube('kubectl', 'wait', '--for=condition=Ready', `node/${layout.nodeName}`, '--timeout=5s')),
  )
  await waitFor('the default service account', 30, files.logs, () =>
    succeeds(cluster.kube('kubectl', 'get', 'serviceaccount', 'default')),
  )
  report(`node ${layout.nodeName} is Ready`)
  return cluster
}

/** Takes the cluster down and sweeps; data (etcd, volumes, images) goes too unless `keepData`. */
export const down = async (name: string, report: Report, { keepData = false } = {}): Promise<void> => {
  const layout = clusterLayout(name)
  const files = clusterFiles(layout)
  const guardian = await readPid(files.guardianPid)
  if (guardian !== undefined) {
    report(`stopping cluster ${name}`)
    process.kill(guardian, 'SIGTERM')
    await waitFor('the end of the guardian', 30, files.logs, async () => !alive(guardian))
  }
  await sweep(layout)
  if (!keepData) await rm(layout.stateDir, { recursive: true, force: true })
  report(`cluster ${name} is down`)
}
