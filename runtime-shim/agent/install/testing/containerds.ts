import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, openSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { execa } from 'execa'
import { ensureBinaries } from '../../../../test/cluster/builds.ts'
import { debianContainerd, ensureDebianContainerd } from '../../../../test/cluster/debian-containerd.ts'
import { type Host, hostOf, observeRuntime } from '../host.ts'
import type { NodeRuntime } from '../node-runtime.ts'

/** Real containerds, each with a folder of its own for all that it has. */

/** Folder of the programs of containerd 1.6, Debian's own. */
export const containerd1 = async (): Promise<string> => {
  await ensureDebianContainerd()
  return debianContainerd
}

/** Folder of the programs of containerd 2, as the development cluster has it. */
export const containerd2 = (): Promise<string> => ensureBinaries(() => {})

export interface RunningContainerd {
  dir: string
  config: string
  /** A mount namespace in which no other containerd runs. */
  host: Host
  /** The runtime as the installer sees it; its pid is that of the moment. */
  runtime(): NodeRuntime
  /** What containerd has said since its last start. */
  log(): string
  /** Names of its plugins that work. */
  plugins(): Promise<string>
  starts(): number
  stop(): Promise<void>
}

interface Options {
  /** Folder of containerd's programs. */
  bin: string
  /** Where the configuration lies, below the containerd's folder. */
  config: string
  /** Files by name below its folder; @ stands for it. */
  files: Readonly<Record<string, string>>
  /** Its parent process: one that starts it again, or a shell that ends with it. Started again it is in either case. */
  by?: 'program' | 'shell'
  /** Called before each start, as a distribution makes its configuration. */
  render?(dir: string): void
}

const until = async (what: string, isSo: () => boolean | Promise<boolean>): Promise<void> => {
  for (let waited = 0; waited < 20_000; waited += 100) {
    if (await isSo()) return
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error(`timed out: ${what}`)
}

/** Starts it, and again whenever it ends, as a distribution's supervisor does. */
export const startContainerd = async ({
  bin,
  config,
  files,
  by = 'program',
  render,
}: Options): Promise<RunningContainerd> => {
  const dir = mkdtempSync(join(tmpdir(), 'lamina-containerd-'))
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, name)), { recursive: true })
    writeFileSync(join(dir, name), text.replaceAll('@', dir))
  }
  const path = join(dir, config)
  const socket = join(dir, 'containerd.sock')
  const logFile = join(dir, 'log')
  const args = ['--config', path, '--root', join(dir, 'root'), '--state', join(dir, 'state'), '--address', socket]
  const keeper = spawn('unshare', ['--mount', '--propagation', 'slave', 'sleep', '3600'], { stdio: 'ignore' })
  const namespaceOf = (pid: number | undefined): string => readlinkSync(`/proc/${pid}/ns/mnt`)
  await until('a mount namespace', () => namespaceOf(keeper.pid) !== namespaceOf(process.pid))
  const host = hostOf(keeper.pid)
  const inNamespace = ['nsenter', '--target', String(keeper.pid), '--mount', '--']
  let [child, starts, stopping]: [ChildProcess | undefined, number, boolean] = [undefined, 0, false]

  const start = (): void => {
    render?.(dir)
    const log = openSync(logFile, 'w')
    // The shell has something left to do, or it would become what it starts.
    const parent = by === 'shell' ? ['sh', '-c', '"$@"; true', 'sh'] : []
    const [command = '', ...words] = [...parent, ...inNamespace, join(bin, 'containerd'), ...args]
    child = spawn(command, words, {
      stdio: ['ignore', log, log],
      env: { ...process.env, PATH: `${bin}:${process.env.PATH}` },
    })
    child.once('exit', () => {
      if (!stopping) start()
    })
    starts += 1
  }
  const log = (): string => readFileSync(logFile, 'utf8')
  start()
  await until(`containerd in ${dir}`, () => log().includes('containerd successfully booted'))

  return {
    dir,
    config: path,
    log,
    starts: () => starts,
    plugins: async () => (await execa(join(bin, 'ctr'), ['--address', socket, 'plugins', 'ls'])).stdout,
    host,
    runtime: () => observeRuntime(host, ''),
    stop: async () => {
      stopping = true
      const ended = new Promise((resolve) => child?.once('exit', resolve))
      if (by === 'shell') process.kill(observeRuntime(host, '').process.pid, 'SIGKILL')
      else child?.kill('SIGKILL')
      await ended
      keeper.kill('SIGKILL')
      rmSync(dir, { recursive: true, force: true })
    },
  }
}
