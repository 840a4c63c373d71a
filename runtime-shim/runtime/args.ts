/** The parts of an OCI runtime's command line that concern us; the whole goes on to runc unchanged. */
export interface Invocation {
  subcommand: string
  id: string
  bundle: string | undefined
  pidFile: string | undefined
  /** `--process` of `exec`. */
  process: string | undefined
  /** `--log`, where containerd looks for the reason of a failure. */
  log: string | undefined
}

/** Options of runc and crun, global and of `create`, `exec` and `delete`, that take a value. */
const valued = new Set([
  '--root',
  '--log',
  '--log-format',
  '--criu',
  '--rootless',
  '--cgroup-manager',
  '--bundle',
  '-b',
  '--console-socket',
  '--pid-file',
  '--pidfd-socket',
  '--preserve-fds',
  '--process',
  '-p',
  '--cwd',
  '--env',
  '-e',
  '--user',
  '-u',
  '--additional-gids',
  '-g',
  '--process-label',
  '--apparmor',
  '--cap',
  '-c',
  '--cgroup',
])

const ours = new Set(['create', 'delete', 'exec'])

/** As runc has it; the id becomes a directory's name. */
const idPattern = /^[\w+-][\w+.-]*$/

/**
 * Reads both shapes: `--root X` (containerd) and `--root=X` (CRI-O).
 *
 * @throws when a subcommand of ours has no valid container id
 */
export const parseArguments = (args: readonly string[]): Invocation => {
  const options = new Map<string, string>()
  const words: string[] = []
  for (let index = 0; index < args.length; index++) {
    const word = args[index] ?? ''
    if (!word.startsWith('-')) {
      words.push(word)
      continue
    }
    const equals = word.indexOf('=')
    if (equals > 0) options.set(word.slice(0, equals), word.slice(equals + 1))
    else if (valued.has(word)) options.set(word, args[++index] ?? '')
  }
  const [subcommand = '', id = ''] = words
  if (ours.has(subcommand) && !idPattern.test(id)) throw new Error(`"${id}" is not a container id`)
  return {
    subcommand,
    id,
    bundle: options.get('--bundle') ?? options.get('-b'),
    pidFile: options.get('--pid-file'),
    process: options.get('--process') ?? options.get('-p'),
    log: options.get('--log'),
  }
}
