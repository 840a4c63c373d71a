/**
 * The one child of catatonit, which is process 1 of the cluster's pid namespace,
 * in a mount namespace of its own: covers the host's paths, runs the components,
 * runs them again when they end, and answers on the control socket. Its end is
 * catatonit's, and with it the end of everything inside.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import {
  type Component,
  cniConfig,
  components,
  containerdConfig,
  kubeletConfig,
  registriesConf,
  registryConfig,
} from './components.ts'
import { type ClusterLayout, clusterFiles, clusterLayout, coveredPaths, coveredRuntimePaths } from './layout.ts'

const restartDelayMs = 200

const coverHostPaths = ({ stateDir }: ClusterLayout): void => {
  const mount = (...args: string[]) => execFileSync('mount', args)
  mount('--make-rshared', '/')
  for (const path of coveredPaths) {
    const own = join(stateDir, 'host', path)
    mkdirSync(own, { recursive: true })
    mkdirSync(path, { recursive: true })
    mount('--bind', own, path)
  }
  for (const path of coveredRuntimePaths) {
    mkdirSync(path, { recursive: true })
    mount('-t', 'tmpfs', '-o', 'mode=0755', 'none', path)
  }
}

const writeConfiguration = (layout: ClusterLayout): void => {
  mkdirSync('/etc/containerd/conf.d', { recursive: true })
  mkdirSync('/etc/cni/net.d', { recursive: true })
  writeFileSync('/etc/containerd/config.toml', containerdConfig)
  writeFileSync('/etc/cni/net.d/10-pods.conflist', cniConfig(layout))
  writeFileSync(join(layout.stateDir, 'kubelet.yaml'), kubeletConfig(layout))
  writeFileSync(join(layout.stateDir, 'registry', 'config.yml'), registryConfig(layout))
  writeFileSync(clusterFiles(layout).registriesConf, registriesConf(layout))
}

interface Supervised {
  start(): void
  /** Ends the process with the signal and does not start it again. */
  stop(signal?: NodeJS.Signals): Promise<void>
  /** Ends the process with the signal; it starts again by itself. */
  kill(signal: NodeJS.Signals): void
}

const supervise = (component: Component, logDir: string): Supervised => {
  const [program, ...args] = component.command
  let wanted = false
  let child: ChildProcess | undefined
  let ended = Promise.resolve()

  const launch = (): void => {
    const log = openSync(join(logDir, `${component.name}.log`), 'a')
    const process_ = spawn(program, args, {
      env: { ...process.env, ...component.env },
      stdio: ['ignore', log, log],
    })
    closeSync(log)
    child = process_
    ended = new Promise((resolve) => {
      process_.once('error', (error) =>
        writeFileSync(join(logDir, `${component.name}.log`), `${error}\n`, { flag: 'a' }),
      )
      process_.once('close', () => {
        child = undefined
        resolve()
        if (wanted) setTimeout(() => wanted && !child && launch(), restartDelayMs)
      })
    })
  }
  return {
    start: () => {
      wanted = true
      if (!child) launch()
    },
    stop: async (signal = component.stopSignal ?? 'SIGTERM') => {
      wanted = false
      child?.kill(signal)
      await ended
    },
    kill: (signal) => {
      child?.kill(signal)
    },
  }
}

/** `POST /<component>/<start | stop | kill>?signal=…` */
const serveControl = (socket: string, supervised: ReadonlyMap<string, Supervised>): void => {
  const handle = async (url: URL): Promise<number> => {
    const [, name = '', action] = url.pathname.split('/')
    const component = supervised.get(name)
    if (!component) return 404
    const signals: Record<string, NodeJS.Signals> = {
      SIGTERM: 'SIGTERM',
      SIGKILL: 'SIGKILL',
      SIGSTOP: 'SIGSTOP',
      SIGCONT: 'SIGCONT',
    }
    const signal = signals[url.searchParams.get('signal') ?? 'SIGTERM']
    if (!signal) return 400
    if (action === 'start') component.start()
    else if (action === 'stop') await component.stop(signal)
    else if (action === 'kill') component.kill(signal)
    else return 400
    return 204
  }
  rmSync(socket, { force: true })
  createServer(async (request, response) => {
    response.statusCode = await handle(new URL(request.url ?? '/', 'http://supervisor'))
    response.end()
  }).listen(socket)
}

const main = (): void => {
  const [name = '', bin = ''] = process.argv.slice(2)
  const layout = clusterLayout(name)
  const files = clusterFiles(layout)
  coverHostPaths(layout)
  writeConfiguration(layout)
  const all = components(layout, bin, process.execPath)
  const supervised = new Map(all.map((component) => [component.name, supervise(component, files.logs)]))
  for (const component of supervised.values()) component.start()
  serveControl(files.control, supervised)
  // The kubelet's pods first would be kinder, but the namespace's end takes everything and costs no data.
  process.on('SIGTERM', () => process.exit(0))
}

main()
