import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { unshare } from '../../../runtime-shim/mount/syscalls.ts'
import { Refusal } from '../../shared/refusal.ts'
import type { Command } from '../run/prepare.ts'
import { findOnHost, isExecutable } from './host-program.ts'
import { onlyChildOf, startTicks } from './stat.ts'
import { CLONE_NEWPID } from './syscalls.ts'
import { shell, tied, unlessWeHaveEnded } from './tied.ts'

/**
 * The first process of a process namespace: it reaps, passes signals on, and takes
 * all others with it. The host's catatonit, which is static, bound into the root.
 */
export const initPath = '/.lamina/init'

const places = ['/usr/bin', '/usr/local/bin', '/usr/libexec/catatonit', '/usr/libexec/podman', '/opt/lamina/lib']

/** @throws Refusal when it is not installed */
export const findInit = (): string => {
  const found = places.map((dir) => join(dir, 'catatonit')).find(isExecutable)
  if (found === undefined)
    throw new Refusal('own process namespaces and instances need catatonit, which is not installed: install it')
  return found
}

/** What runs under the init; undefined: nothing, others are to enter. */
export type UnderInit = Command

/** The environment of the host's programs before the init: names that none of them heeds, each with one `NAME=VALUE`. */
const keptVariables = ({ env = {} }: Partial<Command>): Record<string, string> =>
  Object.fromEntries(Object.entries(env).map(([name, value], index) => [`_lamina_${index}`, `${name}=${value}`]))

/**
 * Waits, in the host's root, for a word, by when its root is the container's. Only there its environment is the container's:
 * no program of the host's heeds what an image says. Descriptor 4 is the host's /dev/null: in the container anything may
 * have that name.
 */
const hold = `exec 4<>/dev/null
echo >&3; exec 3>&-
read -r go || exit
cd "$1"; shift
while [ "$1" != -- ]; do eval 'command export "$'"$1"'"' 2>&4 || :; unset "$1"; shift; done
shift
exec "$@" <&4 4>&-`

/** Words of what becomes the init. None is a variable's value: all users of the machine may read words. */
const held = (under: UnderInit | undefined): string[] => {
  const { directory = '/' } = under ?? {}
  const words = under ? [initPath, '--', under.program, ...under.args.slice(1)] : [initPath, '-P']
  return [shell, '-c', hold, 'sh', directory, ...Object.keys(keptVariables(under ?? {})), '--', ...words]
}

/** unshare(1) mounts /proc, which only a process of the namespace can. */
const wordsFor = (under: UnderInit | undefined, root: string): [string, ...string[]] => [
  ...([findOnHost('unshare', 'util-linux'), `--mount-proc=${root}/proc`, '--'] as const),
  ...held(under),
]

/**
 * The same where an ordinary user is himself. In such a namespace programs have no rights, who
 * enters it neither. So there is one more, in which he is root: it has the process namespace, and the
 * first unshare(1) stays in it, for others to enter. The second one makes the user himself again, in one more.
 */
const wordsForUser = (under: UnderInit | undefined, root: string): [string, ...string[]] => {
  const unshareProgram = findOnHost('unshare', 'util-linux')
  const namespaces = ['--map-root-user', '--mount', '--pid', '--fork', '--kill-child', `--mount-proc=${root}/proc`]
  const himself = ['--mount', `--map-user=${process.getuid?.()}`, `--map-group=${process.getgid?.()}`]
  return tied('KILL', [
    ...[unshareProgram, ...namespaces, '--', ...unlessWeHaveEnded()],
    ...[unshareProgram, ...himself, '--', ...held(under)],
  ])
}

/** The first process of its namespace. */
export interface Init {
  /** It, or the one before it. */
  child: ChildProcess
  pid: number
  /** As the kernel counts. */
  startTicks: string
  /** Makes it what it is to be. If we end before, so does it. */
  release(): void
}

export interface InitStart {
  root: string
  /** Files for what it prints, and for what goes wrong. */
  output: readonly ['ignore' | number, 'ignore' | number]
}

const readyDescriptor = 3

const start = async (
  [program, ...args]: [string, ...string[]],
  env: Record<string, string>,
  { output }: InitStart,
  find: (child: number) => number | undefined,
): Promise<Init | undefined> => {
  // Its directory is to be its root: another one would stay where it is.
  const stdio: StdioOptions = ['pipe', ...output, 'pipe']
  const child = spawn(program, args, { env, cwd: '/', stdio, detached: true })
  const { stdin, pid: first } = child
  const ready = child.stdio[readyDescriptor]
  if (!stdin || !ready || first === undefined) return undefined
  // Of one that has ended: that is heard of by its exit.
  stdin.on('error', () => {})
  const isReady = await Promise.race([once(ready, 'data').then(() => true), once(child, 'exit').then(() => false)])
  ready.destroy()
  const pid = find(first)
  const started = pid === undefined ? undefined : startTicks(pid)
  if (!isReady || pid === undefined || started === undefined) return undefined
  return { child, pid, startTicks: started, release: () => void stdin.end('\n') }
}

/**
 * Starts it in a new process namespace, to which all later children of this thread belong too. It has a mount namespace of
 * its own, and waits in it.
 *
 * @param isTied whether it ends with this process, whatever ends that
 * @returns undefined when it has ended before
 */
export const startInit = (
  under: UnderInit | undefined,
  { isTied, ...how }: InitStart & { isTied: boolean },
): Promise<Init | undefined> => {
  const words = wordsFor(under, how.root)
  unshare(CLONE_NEWPID)
  return start(isTied ? tied('KILL', words) : words, keptVariables(under ?? {}), how, (child) => child)
}

/** The same for an ordinary user who is himself, for others to enter by way of the process before it. */
export const startUserInit = (under: UnderInit | undefined, how: InitStart): Promise<Init | undefined> =>
  start(wordsForUser(under, how.root), keptVariables(under ?? {}), how, onlyChildOf)
