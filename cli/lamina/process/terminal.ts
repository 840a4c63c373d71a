import { constants } from 'node:os'
import { isatty } from 'node:tty'
import koffi from 'koffi'
import { hasCode } from '../../../runtime-shim/mount/error-code.ts'
import { ignoreSignal } from './syscalls.ts'

/** The terminal's settings, and whose it is (termios(3), tcgetpgrp(3)). */

const libc = koffi.load('libc.so.6')
const native = {
  tcgetattr: libc.func('int tcgetattr(int, void*)'),
  tcsetattr: libc.func('int tcsetattr(int, int, const void*)'),
  tcgetpgrp: libc.func('int tcgetpgrp(int)'),
  tcsetpgrp: libc.func('int tcsetpgrp(int, int)'),
  getpgrp: libc.func('int getpgrp()'),
}

const terminal = 0
const TCSANOW = 0
/** struct termios has 60 bytes. */
const termiosBytes = 64

const isGone = (group: number): boolean => {
  try {
    process.kill(-group, 0)
    return false
  } catch (error) {
    return hasCode(error, 'ESRCH')
  }
}

const standard = [0, 1, 2]

/** Whether a terminal that we have been given, for whatever of the three, counts us to its foreground. */
export const isInForeground = (): boolean =>
  standard.some((fd) => isatty(fd) && native.tcgetpgrp(fd) === native.getpgrp())

/**
 * Remembers the terminal, if this process is in its foreground.
 *
 * @returns makes it as it was, unless it is somebody else's by then; for a program that was killed, and could not
 */
export const rememberTerminal = (): (() => void) => {
  const group = native.getpgrp()
  const settings = Buffer.alloc(termiosBytes)
  const isOurs = isatty(terminal) && native.tcgetpgrp(terminal) === group
  if (!isOurs || native.tcgetattr(terminal, settings) !== 0) return () => {}
  return () => {
    const foreground = native.tcgetpgrp(terminal)
    if (foreground !== group && (foreground <= 0 || !isGone(foreground))) return
    // Whoever is not in the foreground would be stopped for it.
    ignoreSignal(constants.signals.SIGTTOU)
    native.tcsetpgrp(terminal, group)
    native.tcsetattr(terminal, TCSANOW, settings)
  }
}
