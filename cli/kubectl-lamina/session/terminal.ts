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

/** Makes our terminal that of the other side: each key goes there as it is, and our size is its size. The answer takes that back. */
export const lendTerminal = ({ stdin, stdout }: Terminal, send: (message: Buffer) => void): (() => void) => {
  const resize = (): void => {
    const size = JSON.stringify({ Width: stdout.columns, Height: stdout.rows })
    send(Buffer.concat([Buffer.of(resizeChannel), Buffer.from(size)]))
  }
  if (stdin.isTTY) stdin.setRawMode(true)
  if (stdout.isTTY) {
    resize()
    stdout.on('resize', resize)
  }
  return () => {
    stdout.off('resize', resize)
    if (stdin.isTTY) stdin.setRawMode(false)
  }
}
