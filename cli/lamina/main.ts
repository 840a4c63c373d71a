/**
 * The command `lamina`: containers with persistent overlays on this machine,
 * without a cluster. See the launcher beside this file.
 */
import { isUtf8 } from 'node:buffer'
import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { CommanderError } from 'commander'
import packageJson from '../../package.json' with { type: 'json' }
import { hasCode } from '../../runtime-shim/mount/error-code.ts'
import { Refusal } from '../shared/refusal.ts'
import { assertOwnState, layoutOf } from './layout.ts'
import { takeInherited, takeOutside } from './process/inherited.ts'
import { createProgram } from './program.ts'
import type { Caller } from './run/request.ts'
import { fatal } from './say.ts'

/** As Apptainer: what it refuses to do ends with this. */
const refused = 255

const inherited = takeInherited(process.env)

const workingDirectory = (): string => {
  try {
    return process.cwd()
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error
    throw new Refusal('the working directory has been removed: go to another one')
  }
}

const caller = (): Caller => {
  const { env } = process
  const outside = takeOutside(env)
  const uid = outside?.uid ?? process.getuid?.() ?? 0
  const layout = layoutOf(env, uid)
  if (uid !== 0 && outside === undefined) assertOwnState(layout, uid)
  const gid = outside?.gid ?? process.getgid?.() ?? 0
  return {
    uid,
    gid,
    isUser: uid !== 0,
    located: outside?.image,
    env,
    inherited,
    cwd: outside?.cwd ?? workingDirectory(),
    home: env.HOME ?? homedir(),
    layout,
  }
}

const exitCodeOf = (error: unknown): number => {
  if (error instanceof CommanderError) return error.exitCode
  if (error instanceof Error && 'exitCode' in error && typeof error.exitCode === 'number') return error.exitCode
  fatal(error instanceof Refusal ? error.message : `${error instanceof Error ? error.message : error}`)
  return refused
}

/** Node puts U+FFFD for what it cannot read, and a command would be run with that. */
const assertReadable = (words: readonly string[]): void => {
  const unread = words.find((word) => word.includes('\uFFFD'))
  if (unread === undefined || isUtf8(readFileSync('/proc/self/cmdline'))) return
  throw new Refusal(`"${unread}" is not in UTF-8, and cannot be passed on as it is: give a name in UTF-8`)
}

const main = async (): Promise<void> => {
  try {
    assertReadable(process.argv)
    await createProgram(packageJson.version, caller).parseAsync()
  } catch (error) {
    process.exit(exitCodeOf(error))
  }
}

await main()
