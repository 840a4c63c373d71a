import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, vi } from 'vitest'
import { build } from '../../../scripts/build.ts'
import { benchFolder } from '../../../test/node/run-folder.ts'
import { openTerminal, type Terminal } from './terminal.ts'

export interface Outcome {
  /** Null when a signal ended it. */
  code: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
}

export interface RunOptions {
  cwd?: string
  env?: NodeJS.ProcessEnv
  input?: string
}

export interface UserOptions extends RunOptions {
  /** Whether /dev/fuse is everybody's, as udev makes it. */
  fuse?: boolean
  /** Whether the machine knows the account, and has given it a range of ids. */
  range?: boolean
  /** Shell that root runs before, in a mount namespace for it. */
  before?: string
  /** Another one than {@link account}. */
  uid?: number
}

/** The built command line, with a folder, a state and a cache of its own. */
export interface CliBench {
  dir: string
  launcher: string
  env: NodeJS.ProcessEnv
  /** A squashfs of busybox. */
  image: string
  /** The directory that it was made of. */
  sandbox: string
  lamina(args: readonly string[], options?: RunOptions): Outcome
  /** The Node that it runs on. */
  node(args: readonly string[]): Outcome
  /** The same as the account {@link account}, which has a home of its own. */
  asUser(args: readonly string[], options?: UserOptions): Outcome
  /** A line of shell as that account. */
  asUserShell(line: string): Outcome
  /** bash on a terminal of its own, as root or as that account. */
  openTerminal(who: 'root' | 'user'): Promise<Terminal>
  /** The same, in the background. */
  spawnAsUser(args: readonly string[]): ChildProcess
  userHome: string
  close(): void
}

/** Of an ordinary user, whom the machine need not know; another one for each file of tests, whose processes are counted. The next number is nobody's either. */
export const account = 10_000_000 + 2 * process.pid

const applets = ['sh', 'cat', 'echo', 'ls', 'touch', 'rm', 'mkdir', 'id', 'env', 'pwd', 'ps', 'sleep', 'kill', 'grep']
const moreApplets = [
  'true',
  'false',
  'mount',
  'which',
  'stat',
  'find',
  'dd',
  'readlink',
  'test',
  'tty',
  'head',
  'wc',
  'stty',
  'vi',
]

const makeSandbox = (dir: string): void => {
  for (const each of ['bin', 'etc', 'tmp', 'var/tmp', 'root', 'proc', 'sys', 'dev', 'usr/bin'])
    mkdirSync(join(dir, each), { recursive: true })
  cpSync('/bin/busybox', join(dir, 'bin/busybox'))
  for (const name of [...applets, ...moreApplets]) symlinkSync('busybox', join(dir, 'bin', name))
  writeFileSync(join(dir, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n')
  writeFileSync(join(dir, 'etc/group'), 'root:x:0:\n')
  writeFileSync(join(dir, 'etc/motd'), 'welcome\n')
}

/** Files of the machine that are other ones for the account alone: `mount --bind` lines. */
const mountRange = (dir: string): string => {
  const lines = {
    passwd: `${readFileSync('/etc/passwd', 'utf8')}ada:x:${account}:${account}::/:/bin/sh\n`,
    subuid: 'ada:200000:65536\n',
    subgid: 'ada:200000:65536\n',
  }
  const mounts = Object.entries(lines).map(([name, text]) => {
    writeFileSync(join(dir, name), text)
    return `mount --bind ${join(dir, name)} /etc/${name}`
  })
  return mounts.join('; ')
}

const mountFuse = (dir: string): string => {
  const device = join(dir, 'fuse')
  execFileSync('mknod', ['-m', '666', device, 'c', '10', '229'])
  return `mount --bind ${device} /dev/fuse`
}

const deadlineMs = 60_000

const createCliBench = async (): Promise<CliBench> => {
  const dir = benchFolder('cli')
  // An ordinary user must be able to read the programs.
  execFileSync('chmod', ['755', dir])
  const programs = join(dir, 'programs')
  await build(programs, ['lamina.cjs', 'lamina-program.cjs', 'overlay-worker.cjs'])
  const [sandbox, image] = [join(dir, 'sandbox'), join(dir, 'busybox.sqfs')]
  makeSandbox(sandbox)
  execFileSync('gensquashfs', ['--pack-dir', sandbox, '--compressor', 'gzip', '--quiet', image])
  const launcher = join(programs, 'lamina')
  const node = join(dir, 'node')
  cpSync(realpathSync(process.execPath), node)
  const home = join(dir, 'home')
  const userHome = join(dir, 'user')
  for (const each of [home, userHome]) mkdirSync(each)
  execFileSync('chown', [`${account}:${account}`, userHome])
  const env = {
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: home,
    LAMINA_NODE: node,
    LAMINA_STATE_DIR: join(dir, 'state'),
    LAMINA_CACHEDIR: join(dir, 'cache'),
  }
  const [withFuse, withRange] = [mountFuse(dir), mountRange(dir)]

  const outcome = (program: string, args: readonly string[], { cwd = dir, env: more, input }: RunOptions): Outcome => {
    const options = {
      cwd,
      env: { ...env, ...more },
      input: input ?? '',
      encoding: 'utf8',
      timeout: deadlineMs,
    } as const
    const { status, signal, stdout, stderr, error } = spawnSync(program, args, options)
    if (error) throw error
    return { code: status, signal, stdout, stderr }
  }
  const own = { HOME: userHome, LAMINA_STATE_DIR: join(userHome, 'state'), LAMINA_CACHEDIR: join(userHome, 'cache') }
  const userWords = (
    words: readonly string[],
    { fuse = true, range = false, uid = account, before }: UserOptions,
  ): string[] => {
    const user = ['--reuid', String(uid), '--regid', String(uid), '--clear-groups']
    const mounts = [
      ...(fuse ? [withFuse] : []),
      ...(range ? [withRange] : []),
      ...(before === undefined ? [] : [before]),
    ]
    const script = [...mounts, `exec setpriv ${user.join(' ')} "$@"`].join('; ')
    return ['unshare', '--mount', 'sh', '-c', script, 'sh', ...words]
  }
  const asUser = (words: readonly string[], options: UserOptions): Outcome => {
    const [program = '', ...args] = userWords(words, options)
    return outcome(program, args, { cwd: userHome, ...options, env: { ...own, ...options.env } })
  }
  return {
    dir,
    launcher,
    env,
    image,
    sandbox,
    userHome,
    lamina: (args, options = {}) => outcome(launcher, args, options),
    node: (args) => outcome(node, args, {}),
    asUser: (args, options = {}) => asUser([launcher, ...args], options),
    asUserShell: (line) => asUser(['sh', '-c', line], {}),
    spawnAsUser: (args) => {
      const [program = '', ...words] = userWords([launcher, ...args], {})
      return spawn(program, words, { cwd: userHome, env: { ...env, ...own }, stdio: 'ignore' })
    },
    openTerminal: (who) =>
      who === 'root'
        ? openTerminal([], { cwd: dir, env })
        : openTerminal(userWords([], {}), { cwd: userHome, env: { ...env, ...own } }),
    close: () => rmSync(dir, { recursive: true, force: true }),
  }
}

/** One for all tests of the file that asks, with the time that they take. */
export const useCliBench = async (): Promise<CliBench> => {
  vi.setConfig({ testTimeout: 60_000 })
  const bench = await createCliBench()
  afterAll(() => bench.close())
  return bench
}
