/** The parts of an OCI runtime's command line that concern us; the whole goes on to runc unchanged. */
export interface Invocation {
  subcommand: string
  id: string
  bundle: string | undefined
  /** `--process` of `exec`. */
  process: string | undefined
  /** `--log`, where containerd looks for the reason of a failure. */
  log: string | undefined
}

/** Options of runc, global and of `create`, `exec` and `delete`, that take a value. */
const valued = new Set([
  '--root',
  '--log',
  '--log-format',
  '--criu',
  '--rootless',
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

/** Reads both shapes: `--root X` (containerd) and `--root=X` (CRI-O). */
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
  return {
    subcommand: words[0] ?? '',
    id: words[1] ?? '',
    bundle: options.get('--bundle') ?? options.get('-b'),
    process: options.get('--process') ?? options.get('-p'),
    log: options.get('--log'),
  }
}
