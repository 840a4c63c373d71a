import { writeSync } from 'node:fs'
import { constants } from 'node:os'
import { hasCode } from '../../runtime-shim/mount/error-code.ts'
import { resetSignal } from '../../runtime-shim/mount/syscalls.ts'
import { sleepSync } from '../../runtime-shim/mount/wait.ts'
import { printable, shortened } from '../shared/printable.ts'

/**
 * Messages as Apptainer prints them. Only `writeSync`: a stream would leave
 * O_NONBLOCK on what the container inherits.
 */

const fullMs = 10

/** All of it. A pipe that somebody else has made non-blocking, and that is full, is waited for, as by any other program. */
const writeAll = (fd: 1 | 2, text: string | Uint8Array): void => {
  for (let bytes = Buffer.from(text); bytes.length > 0; ) {
    try {
      bytes = bytes.subarray(writeSync(fd, bytes))
    } catch (error) {
      if (!hasCode(error, 'EAGAIN')) throw error
      sleepSync(fullMs)
    }
  }
}

const told = (kind: string, text: string): void => {
  try {
    writeAll(2, `${`${kind}:`.padEnd(8)} ${shortened(printable(text))}\n`)
  } catch {
    // Nobody can be told; what is under way is not to fail of it.
  }
}

export const inform = (text: string): void => told('INFO', text)
export const warn = (text: string): void => told('WARNING', text)
export const fatal = (text: string): void => told('FATAL', text)

/** What is asked for. As other programs do, it ends by SIGPIPE when nobody reads it. */
export const print = (text: string | Uint8Array, fd: 1 | 2 = 1): void => {
  try {
    writeAll(fd, text)
  } catch (error) {
    if (!hasCode(error, 'EPIPE')) throw error
    resetSignal(constants.signals.SIGPIPE)
    process.kill(process.pid, 'SIGPIPE')
  }
}
