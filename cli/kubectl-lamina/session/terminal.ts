import { spawnSync } from 'node:child_process'
import { usageError } from '../../shared/cli-error.ts'

export interface TerminalOptions {
  tty?: boolean
}

/** A terminal where we have one, unless told otherwise. */
export const wantsTerminal = ({ tty }: TerminalOptions): boolean => {
  const isTerminal = process.stdin.isTTY === true && process.stdout.isTTY === true
  if (tty === true && !process.stdin.isTTY) throw usageError('--tty: standard input is no terminal; leave --tty out')
  return tty ?? isTerminal
}

interface Terminal {
  stdin: NodeJS.ReadStream
  stdout: NodeJS.WriteStream
}

const resizeChannel = 4

/**
 * Node's raw mode still puts a CR before each LF that is written, which ruins what
 * full-screen programs of the other side draw. Leaving raw mode takes this back, too.
 */
const asIs = (): void => {
  spawnSync('stty', ['-opost'], { stdio: ['inherit', 'ignore', 'ignore'] })
}

/** Makes our terminal that of the other side: each key goes there as it is, and our size is its size. The answer takes that back. */
export const lendTerminal = ({ stdin, stdout }: Terminal, send: (message: Buffer) => void): (() => void) => {
  const resize = (): void => {
    const size = JSON.stringify({ Width: stdout.columns, Height: stdout.rows })
    send(Buffer.concat([Buffer.of(resizeChannel), Buffer.from(size)]))
  }
  if (stdin.isTTY) {
    stdin.setRawMode(true)
    asIs()
  }
  if (stdout.isTTY) {
    resize()
    stdout.on('resize', resize)
  }
  return () => {
    stdout.off('resize', resize)
    if (stdin.isTTY) stdin.setRawMode(false)
  }
}
