import { fstatSync, readFileSync } from 'node:fs'
import { constants } from 'node:os'
import { hasCode } from '../../../runtime-shim/mount/error-code.ts'
import { closeOnExecFrom, resetSignal, setOpenFileLimit } from '../../../runtime-shim/mount/syscalls.ts'
import { ignoreSignal, keepOverExec, openFileLimit } from './syscalls.ts'

/** What Node has changed since the launcher looked, and a command is not to inherit. */

const { SIGPIPE, SIGXFSZ } = constants.signals

/** Bits of a mask of signals in /proc/PID/status, the lowest for signal 1. */
const signalsIn = (mask: string): number[] => {
  const bits = /^[0-9a-f]{1,16}$/.test(mask) ? BigInt(`0x${mask}`) : 0n
  return Array.from({ length: 64 }, (_, index) => index + 1).filter((signal) => (bits >> BigInt(signal - 1)) & 1n)
}

/** Node sets all to their defaults at its start, which takes away what `nohup` has set, and ignores the first of these; libuv the second. */
const restoreSignals = (ignored: string): void => {
  for (const signal of [SIGPIPE, SIGXFSZ]) resetSignal(signal)
  for (const signal of signalsIn(ignored)) ignoreSignal(signal)
}

/** Node raises the soft limit at its start. @returns makes it again what it has been up to now */
const restoreOpenFileLimit = (wanted: string, fewest = 0): (() => void) => {
  if (!/^\d+$/.test(wanted)) return () => {}
  const { soft, hard } = openFileLimit()
  setOpenFileLimit(BigInt(Math.max(fewest, Number(wanted))), hard)
  return () => setOpenFileLimit(soft, hard)
}

const standard = [0, 1, 2]

const isOpen = (fd: number): boolean => {
  try {
    fstatSync(fd)
    return true
  } catch (error) {
    if (hasCode(error, 'EBADF')) return false
    throw error
  }
}

/** What the launcher found: the soft limit of open files, the mask of ignored signals, and the descriptors above 2. */
export interface Inherited {
  openFiles: string
  ignoredSignals: string
  descriptors: string
  /** Where the program's code is kept. */
  code: string
}

const variables = {
  openFiles: 'LAMINA_NOFILE',
  ignoredSignals: 'LAMINA_IGNORED',
  descriptors: 'LAMINA_FDS',
  code: 'LAMINA_CODE',
} as const

const take = (env: NodeJS.ProcessEnv, name: string): string | undefined => {
  const { [name]: value } = env
  delete env[name]
  return value
}

/** Takes it from the environment, where the command is not to find it. */
export const takeInherited = (env: NodeJS.ProcessEnv): Inherited => ({
  openFiles: take(env, variables.openFiles) ?? '',
  ignoredSignals: take(env, variables.ignoredSignals) ?? '',
  descriptors: take(env, variables.descriptors) ?? '',
  code: take(env, variables.code) ?? '',
})

const given = ({ descriptors }: Inherited): number[] =>
  descriptors
    .split(' ')
    .filter((word) => /^\d{1,6}$/.test(word))
    .map(Number)

/** What a child is to have open: all that we were given, under its number. */
export const descriptorsFor = (inherited: Inherited): ('inherit' | 'ignore' | number)[] => {
  const fds = given(inherited).filter(isOpen)
  const all = Array.from({ length: Math.max(standard.length - 1, ...fds) + 1 }, (_, fd) => fd)
  return all.map((fd) => (fd < standard.length ? 'inherit' : fds.includes(fd) ? fd : 'ignore'))
}

/** With fewer no child can be begun. */
const fewestOpenFiles = 64

/** Runs `act`, which begins a child that is to have the caller's limit. */
export const withOpenFileLimit = <T>({ openFiles }: Inherited, act: () => T): T => {
  const raise = restoreOpenFileLimit(openFiles, fewestOpenFiles)
  try {
    return act()
  } finally {
    raise()
  }
}

/** To be called right before execve. */
export const restoreInherited = (inherited: Inherited): void => {
  restoreOpenFileLimit(inherited.openFiles)
  restoreSignals(inherited.ignoredSignals)
  closeOnExecFrom(standard.length)
  for (const fd of [...standard, ...given(inherited)]) keepOverExec(fd)
}

/** Who has begun this program anew in a namespace, and for which image. */
export interface Outside {
  uid: number
  gid: number
  cwd: string
  image: string
}

const outside = {
  uid: 'LAMINA_OUTSIDE_UID',
  gid: 'LAMINA_OUTSIDE_GID',
  cwd: 'LAMINA_OUTSIDE_CWD',
  image: 'LAMINA_OUTSIDE_IMAGE',
} as const

/** For this program itself, begun anew in a namespace: what {@link takeInherited} and {@link takeOutside} take. */
export const forNamespace = (inherited: Inherited, { uid, gid, cwd, image }: Outside): Record<string, string> => ({
  [variables.openFiles]: inherited.openFiles,
  [variables.ignoredSignals]: inherited.ignoredSignals,
  [variables.descriptors]: inherited.descriptors,
  [variables.code]: inherited.code,
  [outside.uid]: String(uid),
  [outside.gid]: String(gid),
  [outside.cwd]: cwd,
  [outside.image]: image,
})

const isNumber = (text: string | undefined): text is string => text !== undefined && /^\d+$/.test(text)

/** Where all ids are what they are: nobody has begun this program anew there. */
const isInitialNamespace = (): boolean =>
  readFileSync('/proc/self/uid_map', 'utf8').trim().split(/\s+/).join(' ') === '0 0 4294967295'

export const takeOutside = (env: NodeJS.ProcessEnv): Outside | undefined => {
  const [uid, gid] = [take(env, outside.uid), take(env, outside.gid)]
  const [cwd, image] = [take(env, outside.cwd), take(env, outside.image)]
  if (isInitialNamespace() || !isNumber(uid) || !isNumber(gid) || cwd === undefined || image === undefined)
    return undefined
  return { uid: Number(uid), gid: Number(gid), cwd, image }
}
