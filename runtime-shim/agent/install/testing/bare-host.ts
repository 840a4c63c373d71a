import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { execa } from 'execa'
import { type Host, hostOf } from '../host.ts'

/** A root file system with nothing in it but what a test puts there, in a mount namespace of its own. */
export interface BareHost {
  host: Host
  /** Its root directory, as the test sees it. */
  root: string
  stop(): Promise<void>
}

/** Where the one program of the bare host lies, which only keeps its namespace; no PATH leads there. */
const keeper = '/.keeper/busybox'

const script = (root: string): string => `
set -e
mount --bind ${root} ${root}
mount -t proc proc ${root}/proc
mount --rbind /dev ${root}/dev
mount --rbind /sys ${root}/sys
mount -t tmpfs tmpfs ${root}/run
cd ${root}
pivot_root . .old
exec ${keeper} chroot . ${keeper} sh -c '${keeper} umount -l /.old && echo ready && exec ${keeper} sleep 600'
`

const program = (from: string, to: string): void => {
  mkdirSync(dirname(to), { recursive: true })
  copyFileSync(from, to)
  chmodSync(to, 0o755)
}

/** @param prepare fills the root directory */
export const startBareHost = async (prepare: (root: string) => Promise<void>): Promise<BareHost> => {
  const root = mkdtempSync(join(tmpdir(), 'lamina-bare-'))
  for (const name of ['proc', 'dev', 'sys', 'run', 'tmp', '.old']) mkdirSync(join(root, name))
  program('/bin/busybox', join(root, keeper))
  await prepare(root)
  const child: ChildProcess = spawn('unshare', ['--mount', '--propagation', 'slave', 'sh', '-c', script(root)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await new Promise<void>((resolve, reject) => {
    child.stdout?.once('data', () => resolve())
    child.once('exit', () => reject(new Error('the bare host has not started')))
  })
  return {
    root,
    host: hostOf(child.pid),
    stop: async () => {
      const ended = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGKILL')
      await ended
      rmSync(root, { recursive: true })
    },
  }
}

/** Puts a dynamically linked program of this machine there, with the loader and libraries that it names. */
export const copyProgram = async (path: string, root: string): Promise<void> => {
  program(path, join(root, path))
  const { stdout } = await execa('ldd', [path])
  for (const [library] of stdout.matchAll(/\/\S+/g)) program(library, join(root, library))
}
