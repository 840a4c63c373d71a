import { accessSync, constants, existsSync, mkdirSync, readFileSync, statSync } from 'node:fs'
import { userInfo } from 'node:os'
import { Refusal } from '../../shared/refusal.ts'
import { forNamespace, restoreInherited } from '../process/inherited.ts'
import { execve } from '../process/syscalls.ts'
import type { Caller } from '../run/request.ts'
import { findOnHost } from './tools.ts'

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

const userName = (): string => {
  try {
    return userInfo().username
  } catch {
    return ''
  }
}

/** With a range of ids of his own, root in the container can give files to others, as apt does. */
const asRoot = (): string[] => {
  const name = userName()
  const range = name !== '' && hasRange(name) && existsSync('/usr/bin/newuidmap')
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

/** Others may have made a directory of that name in /tmp. */
const makeStateDir = ({ layout: { stateDir }, uid }: Caller): void => {
  mkdirSync(stateDir, { recursive: true, mode: 0o700 })
  if (statSync(stateDir).uid !== uid) throw new Refusal(`${stateDir} belongs to somebody else: set XDG_RUNTIME_DIR`)
}

/** Begins anew in a user namespace and a mount namespace, with all capabilities there. @throws Refusal */
export const enterNamespace = (caller: Caller, { fakeroot }: { fakeroot: boolean }, image: string): never => {
  assertPossible()
  makeStateDir(caller)
  const unshare = findOnHost('unshare', 'util-linux')
  const mapping = fakeroot ? asRoot() : ['--map-current-user']
  const namespaces = [...mapping, '--mount', '--keep-caps', '--']
  const again = [process.execPath, ...process.execArgv, ...process.argv.slice(1)]
  restoreInherited(caller.inherited)
  const env = { ...process.env, ...forNamespace(caller.inherited, { uid: caller.uid, image }) }
  const given = Object.entries(env).flatMap(([name, value]): [string, string][] =>
    value === undefined ? [] : [[name, value]],
  )
  return execve(unshare, ['unshare', ...namespaces, ...again], Object.fromEntries(given))
}
