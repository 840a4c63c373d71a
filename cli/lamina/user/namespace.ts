import { accessSync, constants, existsSync, mkdirSync, readFileSync } from 'node:fs'
import { hasCode } from '../../../runtime-shim/mount/error-code.ts'
import { Refusal } from '../../shared/refusal.ts'
import { assertOwnState } from '../layout.ts'
import { findOnHost } from '../process/host-program.ts'
import { forNamespace, restoreInherited } from '../process/inherited.ts'
import { execve } from '../process/syscalls.ts'
import type { Caller } from '../run/request.ts'
import { userName } from './name.ts'

/** An ordinary user's mounts need a user namespace, into which only a process of one thread can go: unshare(1) is one. */

const hasRange = (name: string): boolean => {
  try {
    return readFileSync('/etc/subuid', 'utf8')
      .split('\n')
      .some((line) => line.startsWith(`${name}:`))
  } catch {
    return false
  }
}

/** With a range of ids of his own, root in the container can give files to others, as apt does. */
const asRoot = (): string[] => {
  const name = userName()
  const range = name !== undefined && hasRange(name) && existsSync('/usr/bin/newuidmap')
  return ['--map-root-user', ...(range ? ['--map-auto'] : [])]
}

const assertPossible = (): void => {
  try {
    accessSync('/dev/fuse', constants.R_OK | constants.W_OK)
  } catch {
    throw new Refusal(
      '/dev/fuse cannot be opened by an ordinary user here: have the administrator load the module fuse and chmod 666 /dev/fuse, or run lamina as root',
    )
  }
  const limit = '/proc/sys/user/max_user_namespaces'
  if (existsSync(limit) && Number(readFileSync(limit, 'utf8')) === 0)
    throw new Refusal(
      `user namespaces are switched off here (${limit} is 0): have them switched on, or run lamina as root`,
    )
}

const makeStateDir = ({ layout, uid }: Caller): void => {
  try {
    mkdirSync(layout.stateDir, { recursive: true, mode: 0o700 })
  } catch (error) {
    if (!hasCode(error, 'EACCES', 'EROFS')) throw error
    throw new Refusal(`${layout.stateDir} cannot be made by you: set XDG_RUNTIME_DIR to a directory of your own`)
  }
  assertOwnState(layout, uid)
}

/** A program of the host that begins this one anew, elsewhere. */
export interface Anew {
  program: string
  args: string[]
  env: Record<string, string>
}

/** @param image the image's file, or the instance's */
export const anew = (
  program: string,
  words: readonly string[],
  { uid, gid, cwd, inherited }: Caller,
  image: string,
): Anew => {
  const env = { ...process.env, ...forNamespace(inherited, { uid, gid, cwd, image }) }
  const given = Object.entries(env).flatMap(([name, value]): [string, string][] =>
    value === undefined ? [] : [[name, value]],
  )
  return {
    program: findOnHost(program, 'util-linux'),
    args: [...words, '--', process.execPath, ...process.execArgv, '--', ...process.argv.slice(1)],
    env: Object.fromEntries(given),
  }
}

/** In a user namespace and a mount namespace of its own, with all capabilities there. @throws Refusal */
export const anewInNamespace = (caller: Caller, { fakeroot }: { fakeroot: boolean }, image: string): Anew => {
  assertPossible()
  makeStateDir(caller)
  const mapping = fakeroot ? asRoot() : ['--map-current-user']
  return anew('unshare', [...mapping, '--mount', '--keep-caps'], caller, image)
}

/** Becomes it. */
export const becomeAnew = ({ program, args, env }: Anew, { inherited }: Caller): never => {
  restoreInherited(inherited)
  return execve(program, [program, ...args], env)
}
