import { randomBytes } from 'node:crypto'
import { shellQuoted } from '../../shared/shell-quoted.ts'

/** A command as it is sent, and how its process id is told in its first line of output. */
export interface Wrapped {
  command: string[]
  /** What the line begins with; the process id follows. */
  marker: string
}

export interface Place {
  env?: readonly { name: string; value: string }[] | undefined
  workingDir?: string | undefined
}

/**
 * Runs by a shell that tells its process id and becomes the command: to the id
 * signals can be sent, for which Kubernetes' exec has no way.
 */
export const wrap = (
  command: readonly string[],
  { env = [], workingDir }: Place = {},
  random = randomBytes(6).toString('hex'),
): Wrapped => {
  const marker = `lamina:${random}:`
  const script = [
    ...(workingDir === undefined ? [] : [`cd ${shellQuoted(workingDir)} || exit 125`]),
    ...env.map(({ name, value }) => `export ${shellQuoted(`${name}=${value}`)}`),
    `printf '%s\\n' "${marker}$$"`,
    'exec "$@"',
  ].join('; ')
  return { marker, command: ['sh', '-c', script, 'sh', ...command] }
}

/** The words that send a signal to a process and all that it has started: an exec's process leads a session of its own. */
export const killWords = (signal: string, pid: number): string[] => {
  const name = signal.replace(/^SIG/, '')
  return ['sh', '-c', `kill -${name} -${pid} 2>/dev/null || kill -${name} ${pid}`]
}

const newline = 0x0a

/** Longer than marker and number: what comes is the command's own. */
const longestLine = 64

/** Takes the marker's line out of the output. */
export const createMarkerFilter = (marker: string) => {
  let held: Buffer | undefined = Buffer.alloc(0)
  let pid: number | undefined

  const judge = (seen: Buffer): Buffer | undefined => {
    const end = seen.indexOf(newline)
    const line = seen.subarray(0, end === -1 ? seen.length : end).toString('latin1')
    const isMarker = line.slice(0, marker.length) === marker.slice(0, line.length)
    if (!isMarker || (end === -1 && seen.length > longestLine)) return seen
    if (end === -1) return undefined
    pid = Number.parseInt(line.slice(marker.length), 10)
    return seen.subarray(end + 1)
  }

  return {
    pid: (): number | undefined => pid,
    /** Whether the line has come, or will not come any more. */
    hasJudged: (): boolean => held === undefined,
    /** What of it is the command's output. */
    pass: (chunk: Buffer): Buffer => {
      if (held === undefined) return chunk
      held = Buffer.concat([held, chunk])
      const rest = judge(held)
      if (rest === undefined) return Buffer.alloc(0)
      held = undefined
      return rest
    },
    /** What was held back although nothing more came. */
    end: (): Buffer => held ?? Buffer.alloc(0),
  }
}
