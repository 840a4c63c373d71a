/**
 * `lamina-runtime`: makes the root file system of an instance's container, then
 * becomes runc with the same arguments. See the launcher beside this file for
 * what never comes here.
 */
import { accessSync, constants, readFileSync } from 'node:fs'
import { constants as osConstants } from 'node:os'
import { dirname, join } from 'node:path'
import { closeOnExecFrom, resetSignal, setOpenFileLimit } from '../mount/syscalls.ts'
import { podOf } from '../node/containers.ts'
import { defaultLayout, type NodeLayout } from '../node/layout.ts'
import { type Invocation, parseArguments } from './args.ts'
import { create } from './create.ts'
import { mountRecordOf, release } from './delete.ts'
import { patchExec } from './exec.ts'
import { reportFailure } from './report.ts'

/** Where a program is, by PATH; execve(2) wants the whole path. */
const findProgram = (name: string, path: string): string => {
  if (name.includes('/')) return name
  for (const dir of path.split(':')) {
    const candidate = join(dir, name)
    try {
      accessSync(candidate, constants.X_OK)
      return candidate
    } catch {
      // Not in this folder.
    }
  }
  throw new Error(`cannot find "${name}" in ${path}: install it on the node`)
}

/** Node raises the soft limit at its start; the launcher tells what it was. */
const restoreOpenFileLimit = (soft: string | undefined): void => {
  const hard = /Max open files\s+\S+\s+(\S+)/.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]
  if (soft === undefined || hard === undefined || !/^\d+$/.test(soft) || !/^\d+$/.test(hard)) return
  setOpenFileLimit(BigInt(soft), BigInt(hard))
}

/** What the runtime and the container inherit: without what the launcher put there for us. */
const inheritedEnv = ({ LAMINA_NOFILE, LAMINA_UNDERLYING, NODE_COMPILE_CACHE, ...env }: NodeJS.ProcessEnv) => env

const becomeRuntime = (runtime: string, args: readonly string[]): void => {
  restoreOpenFileLimit(process.env.LAMINA_NOFILE)
  // Node ignores the first and libuv the second; ignored signals survive execve(2).
  resetSignal(osConstants.signals.SIGPIPE)
  resetSignal(osConstants.signals.SIGXFSZ)
  closeOnExecFrom(3)
  if (!process.execve) throw new Error('this Node has no process.execve')
  process.execve(runtime, [runtime, ...args], inheritedEnv(process.env))
}

const deleteContainer = (
  layout: NodeLayout,
  runtime: string,
  args: readonly string[],
  { id, log }: Invocation,
): number => {
  const record = mountRecordOf(layout, id)
  const podUID = podOf(layout, id)
  // Loaded here alone: it costs `create` 2 ms.
  const { spawnSync } = process.getBuiltinModule('node:child_process')
  const { status, error } = spawnSync(runtime, args, { stdio: 'inherit', env: inheritedEnv(process.env) })
  if (error) throw error
  if (status !== 0) return status ?? 1
  if (record && podUID) {
    const problems = release(layout, { podUID, record }, () => new Date())
    for (const problem of problems) reportFailure(log, problem, new Date())
  }
  return 0
}

const main = (): number => {
  const args = process.argv.slice(2)
  let log: string | undefined
  try {
    const invocation = parseArguments(args)
    log = invocation.log
    const {
      PATH = '/usr/sbin:/usr/bin:/sbin:/bin',
      LAMINA_STATE_DIR,
      LAMINA_CACHE_DIR,
      LAMINA_UNDERLYING = 'runc',
    } = process.env
    const layout: NodeLayout = {
      ...defaultLayout,
      installDir: dirname(dirname(process.argv[1] ?? '')),
      ...(LAMINA_STATE_DIR ? { stateDir: LAMINA_STATE_DIR } : {}),
      ...(LAMINA_CACHE_DIR ? { cacheDir: LAMINA_CACHE_DIR } : {}),
    }
    const runtime = findProgram(LAMINA_UNDERLYING, PATH)
    if (invocation.subcommand === 'delete') return deleteContainer(layout, runtime, args, invocation)
    if (invocation.subcommand === 'create') create(layout, invocation, new Date())
    if (invocation.subcommand === 'exec') patchExec(layout, invocation)
    becomeRuntime(runtime, args)
    return 0
  } catch (error) {
    reportFailure(log, error, new Date())
    return 1
  }
}

process.exitCode = main()
