import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process'
import { accessSync, constants, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { unshare } from '../../../runtime-shim/mount/syscalls.ts'
import { sleepSync } from '../../../runtime-shim/mount/wait.ts'
import { Refusal } from '../../shared/refusal.ts'
import { rootTarget } from '../layout.ts'
import type { Caller } from '../run/request.ts'
import { findOnHost } from './host-program.ts'
import { onlyChildOf, startTicks } from './stat.ts'
import { CLONE_NEWPID } from './syscalls.ts'
import { tied, unlessWeHaveEnded } from './tied.ts'

/**
 * The first process of a process namespace: it reaps, passes signals on, and takes
 * all others with it. The host's catatonit, which is static, bound into the root.
 */
export const initPath = '/.lamina/init'

const places = ['/usr/bin', '/usr/local/bin', '/usr/libexec/catatonit', '/usr/libexec/podman', '/opt/lamina/lib']

/** @throws Refusal when it is not installed */
export const findInit = (): string => {
  const found = places
    .map((dir) => join(dir, 'catatonit'))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK)
        return true
      } catch {
        return false
      }
    })
  if (found === undefined)
    throw new Refusal('own process namespaces and instances need catatonit, which is not installed: install it')
  return found
}

/** What runs under the init; undefined: nothing, others are to enter. */
export interface UnderInit {
  program: string
  /** With its own name. */
  args: readonly string[]
  /** In the root. */
  directory: string
}

/** unshare(1) and its arguments, for init in the root. It mounts /proc there, which only a process of the namespace can. */
const wordsFor = (under: UnderInit | undefined, root: string): [string, ...string[]] => [
  findOnHost('unshare', 'util-linux'),
  ...[`--root=${root}`, `--wd=${under?.directory ?? '/'}`, '--mount-proc', '--', initPath],
  ...(under ? ['--', under.program, ...under.args.slice(1)] : ['-P']),
]

/**
 * The same where an ordinary user is himself. In such a namespace programs have no rights, who
 * enters it neither. So there is one more, in which he is root: it has the process and the mount namespace, and the
 * first unshare(1) stays in it, for others to enter. The second one makes the user himself again, in one more.
 */
const wordsForUser = (under: UnderInit | undefined, root: string): [string, ...string[]] => {
  const unshareProgram = findOnHost('unshare', 'util-linux')
  const namespaces = ['--map-root-user', '--mount', '--pid', '--fork', '--kill-child', `--mount-proc=${root}/proc`]
  const himself = [`--map-user=${process.getuid?.()}`, `--map-group=${process.getgid?.()}`]
  const [, ...words] = wordsFor(under, root).filter((word) => word !== '--mount-proc')
  return tied('KILL', [
    unshareProgram,
    ...namespaces,
    '--',
    ...unlessWeHaveEnded(),
    unshareProgram,
    ...himself,
    ...words,
  ])
}

const isInit = (pid: number): boolean => {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === basename(initPath)
  } catch {
    return false
  }
}

const startMs = 10_000

/** It is the first process of its namespace, and has its root. */
export interface Init {
  /** It, or the one before it. */
  child: ChildProcess
  pid: number
  /** As the kernel counts. */
  startTicks: string
}

/** @param find what is to be the init; undefined while there is no such process */
const awaitInit = (child: ChildProcess, find: (child: number) => number | undefined): Init | undefined => {
  const { pid: first } = child
  if (first === undefined) return undefined
  const deadline = performance.now() + startMs
  while (startTicks(first) !== undefined && performance.now() < deadline) {
    const pid = find(first)
    const started = pid === undefined ? undefined : startTicks(pid)
    if (pid !== undefined && started !== undefined && isInit(pid)) return { child, pid, startTicks: started }
    sleepSync(1)
  }
  return undefined
}

export interface InitStart {
  env: Readonly<Record<string, string>>
  stdio: StdioOptions
}

const start = ([program, ...args]: [string, ...string[]], { env, stdio }: InitStart): ChildProcess =>
  spawn(program, args, { env, stdio, detached: true })

/**
 * Starts it in a new process namespace, to which all later children of this thread belong too, and
 * waits until it is what runs.
 *
 * @param isTied whether it ends with this process, whatever ends that
 * @returns undefined when it has ended before
 */
export const startInit = (
  under: UnderInit | undefined,
  { isTied, ...how }: InitStart & { isTied: boolean },
  { layout }: Caller,
): Init | undefined => {
  const words = wordsFor(under, rootTarget(layout))
  unshare(CLONE_NEWPID)
  return awaitInit(start(isTied ? tied('KILL', words) : words, how), (child) => child)
}

/** The same for an ordinary user who is himself, for others to enter by way of the process before it. */
export const startUserInit = (under: UnderInit | undefined, how: InitStart, { layout }: Caller): Init | undefined =>
  awaitInit(start(wordsForUser(under, rootTarget(layout)), how), onlyChildOf)
