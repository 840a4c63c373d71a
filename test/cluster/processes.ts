import { readFile } from 'node:fs/promises'

const kernelThread = 0x200000

interface Process {
  pid: number
  /** Empty from the moment the process begins to end, and for a kernel thread. */
  argv: string[]
  state: string
  flags: number
}

const processIn = async (pidFile: string): Promise<Process | undefined> => {
  const pid = Number(await readFile(pidFile, 'utf8').catch(() => ''))
  if (!(pid > 0)) return undefined
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
  const cmdline = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => undefined)
  if (stat === undefined || cmdline === undefined) return undefined
  // Field 2, the name, is in brackets and may hold brackets and spaces (proc_pid_stat(5)).
  const [state = '', , , , , , flags] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return { pid, argv: cmdline.split('\0').filter((word) => word !== ''), state, flags: Number(flags) }
}

/** Whether it runs the program, from whichever tree: clusters are the machine's, and are known in all of them. */
const runs = ({ argv }: Process, program: string): boolean =>
  argv.some((word) => word === program || word.endsWith(`/${program}`))

/**
 * The process whose number the file holds, if it still runs `program`: a pid
 * file outlives a reboot, after which its number may be somebody else's.
 *
 * @param program its name, or the end of its path
 */
export const runningProcess = async (
  pidFile: string,
  program: string,
): Promise<{ pid: number; argv: string[] } | undefined> => {
  const found = await processIn(pidFile)
  return found && runs(found, program) ? found : undefined
}

/**
 * Whether that process is gone. The first process of a pid namespace turns into
 * a zombie only after all others in it are gone.
 */
export const hasEnded = async (pidFile: string, program: string): Promise<boolean> => {
  const found = await processIn(pidFile)
  if (found === undefined || found.state === 'Z' || found.state === 'X') return true
  const isEnding = found.argv.length === 0 && (found.flags & kernelThread) === 0
  return !isEnding && !runs(found, program)
}
