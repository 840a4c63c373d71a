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
}

/** Takes it from the environment, where the command is not to find it. */
export const takeInherited = (env: NodeJS.ProcessEnv): Inherited => {
  const { LAMINA_NOFILE: openFiles = '', LAMINA_IGNORED: ignoredSignals = '', LAMINA_FDS: descriptors = '' } = env
  for (const name of ['LAMINA_NOFILE', 'LAMINA_IGNORED', 'LAMINA_FDS']) delete env[name]
  return { openFiles, ignoredSignals, descriptors }
}

/** To be called right before execve. */
export const restoreInherited = ({ openFiles, ignoredSignals, descriptors }: Inherited): void => {
  restoreOpenFileLimit(openFiles)
  restoreSignals(ignoredSignals)
  closeOnExecFrom(standard.length)
  const given = descriptors.split(' ').filter((word) => /^\d{1,6}$/.test(word))
  for (const fd of [...standard, ...given.map(Number)]) keepOverExec(fd)
}
