import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { vi } from 'vitest'
import { shellQuoted } from '../../shared/shell-quoted.ts'

/** A shell with job control on a terminal, as script(1) makes one, and someone who types. */
export interface Terminal {
  type(text: string): void
  /** Waits until that has come since the last time something was seen. @returns what came up to its end */
  see(expected: string | RegExp): Promise<string>
  resize(columns: number, rows: number): void
  /** Runs a line of the shell. @returns what it printed, line ends and all */
  run(line: string): Promise<string>
  close(): Promise<void>
}

/** A busy machine takes seconds where an idle one takes a blink; what never comes is told all the same. */
const patienceMs = 30_000

const endOf = (text: string, expected: string | RegExp): number => {
  if (typeof expected === 'string') return text.includes(expected) ? text.indexOf(expected) + expected.length : -1
  const found = expected.exec(text)
  return found ? found.index + found[0].length : -1
}

/** @param words before those of the shell: as whom */
export const openTerminal = async (
  words: readonly string[],
  { cwd, env }: { cwd: string; env: NodeJS.ProcessEnv },
): Promise<Terminal> => {
  const quoted = [...words, 'bash', '--norc', '--noprofile', '--noediting', '-i'].map(shellQuoted)
  const child = spawn('script', ['-qec', `stty -echo; exec ${quoted.join(' ')}`, '/dev/null'], {
    cwd,
    env: { ...env, TERM: 'vt100', PS1: '$ ' },
  })
  let unseen = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    unseen += text
  })
  const type = (text: string): void => void child.stdin.write(text)
  const see = async (expected: string | RegExp): Promise<string> => {
    const end = await vi.waitFor(
      () => {
        const at = endOf(unseen, expected)
        if (at < 0) throw new Error(`${expected} is not in ${JSON.stringify(unseen)}`)
        return at
      },
      { timeout: patienceMs, interval: 10 },
    )
    const seen = unseen.slice(0, end)
    unseen = unseen.slice(end)
    return seen
  }
  await see('$ ')
  let count = 0
  const run = async (line: string): Promise<string> => {
    const mark = `[${++count}]`
    type(`${line}\necho '${mark}'\n`)
    const seen = await see(`${mark}\r\n`)
    return seen.slice(0, -`${mark}\r\n`.length).replaceAll('$ ', '')
  }
  return {
    type,
    see,
    run,
    resize: (columns, rows) => {
      const [, terminal = ''] =
        /(\d+)/.exec(execFileSync('ps', ['-o', 'tty=', '--ppid', String(child.pid)], { encoding: 'utf8' })) ?? []
      execFileSync('stty', ['-F', `/dev/pts/${terminal}`, 'cols', String(columns), 'rows', String(rows)])
    },
    close: async () => {
      child.stdin.end()
      child.kill('SIGKILL')
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    },
  }
}
