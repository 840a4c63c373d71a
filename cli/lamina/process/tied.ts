import { findOnHost } from './host-program.ts'

/** /proc/PID/stat has the state behind the program's name in parentheses. Z: it has ended. */
const goOnWhileItRuns = `read -r stat 2>/dev/null <"/proc/$0/stat" || exit
case \${stat##*) } in [ZX]*) exit ;; esac
exec "$@"`

export const shell = '/bin/sh'

/** Words before a program's that is to be nothing once this process has ended. */
export const unlessWeHaveEnded = (): string[] => [shell, '-c', goOnWhileItRuns, String(process.pid)]

/**
 * setpriv(1) and words before those of a program that is to end by the signal when
 * this process ends, whatever ends it. That may have happened before the kernel was asked for the signal.
 */
export const tied = (signal: 'TERM' | 'KILL', words: readonly string[]): [string, ...string[]] => [
  ...([findOnHost('setpriv', 'util-linux'), '--pdeathsig', signal, '--'] as const),
  ...unlessWeHaveEnded(),
  ...words,
]
