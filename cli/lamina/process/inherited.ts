import { readFileSync } from 'node:fs'
import { constants } from 'node:os'
import { closeOnExecFrom, resetSignal, setOpenFileLimit } from '../../../runtime-shim/mount/syscalls.ts'
import { ignoreSignal, keepOverExec } from './syscalls.ts'

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

/** Node raises the soft limit at its start. */
const restoreOpenFileLimit = (soft: string): void => {
  const hard = /Max open files\s+\S+\s+(\S+)/.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]
  if (hard === undefined || !/^\d+$/.test(soft) || !/^\d+$/.test(hard)) return
  setOpenFileLimit(BigInt(soft), BigInt(hard))
}

const standard = [0, 1, 2]

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

/** To be called right before execve. */
export const restoreInherited = ({ openFiles, ignoredSignals, descriptors }: Inherited): void => {
  restoreOpenFileLimit(openFiles)
  restoreSignals(ignoredSignals)
  closeOnExecFrom(standard.length)
  const given = descriptors.split(' ').filter((word) => /^\d{1,6}$/.test(word))
  for (const fd of [...standard, ...given.map(Number)]) keepOverExec(fd)
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

export const takeOutside = (env: NodeJS.ProcessEnv): Outside | undefined => {
  const [uid, gid] = [take(env, outside.uid), take(env, outside.gid)]
  const [cwd, image] = [take(env, outside.cwd), take(env, outside.image)]
  if (!isNumber(uid) || !isNumber(gid) || cwd === undefined || image === undefined) return undefined
  return { uid: Number(uid), gid: Number(gid), cwd, image }
}
