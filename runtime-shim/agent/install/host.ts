import { runProgram } from '../../node/program.ts'
import { type HostFiles, hostFiles } from './host-files.ts'
import { chooseRuntime, type NodeRuntime } from './node-runtime.ts'
import { callerOf, hasSystemd, runtimeProcesses } from './processes.ts'
import { RefusedError } from './refused.ts'
import { addressOf, parseContainerd } from './toml.ts'

/** What the installer sees of the host and does to it. Its namespaces are reached through a process of it. */

const nsenter = '/usr/bin/nsenter'
/** Where NixOS and others have systemctl and modprobe. */
export const adminPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/run/current-system/sw/bin'
/** A stop of k3s's unit alone may take half of it. */
const programMs = 180_000

/** The host, reached through a process of it: its files, and programs run where the container runtime runs. */
export interface Host {
  /** A process in the host's namespaces. */
  pid: number
  files: HostFiles
  /**
   * Runs a program in the host's mount namespace and waits for it.
   *
   * @param path its PATH, by which it is found too
   * @returns what it prints
   * @throws RefusedError with its last words when it fails
   */
  run(program: string, args: readonly string[], path: string): Promise<string>
}

/** @param pid the agent, which sees the host's processes, knows the first as one */
export const hostOf = (pid = 1): Host => ({
  pid,
  files: hostFiles(`/proc/${pid}/root`),
  run: async (program, args, path) => {
    const { stdout, stderr, exitCode, timedOut } = await runProgram(
      nsenter,
      ['--target', String(pid), '--mount', '--', program, ...args],
      { timeoutMs: programMs, env: { PATH: path } },
    )
    if (exitCode === 0) return stdout.toString()
    const ending = timedOut ? `no end within ${programMs / 1000} s` : `exit code ${exitCode ?? 'of a signal'}`
    const why = stderr.trim().split('\n').at(-1) || ending
    throw new RefusedError(`${[program, ...args].join(' ')} fails on the node: ${why}`)
  },
})

/** @throws RefusedError when it is not sure which runtime is the kubelet's */
export const observeRuntime = ({ pid, files }: Host, runtimeVersion: string): NodeRuntime =>
  chooseRuntime({
    processes: runtimeProcesses(pid),
    caller: callerOf(process.pid),
    systemd: hasSystemd(),
    runtimeVersion,
    read: (path) => files.read(path),
    addressIn: (text, path) => addressOf(parseContainerd(text, path)),
  })
