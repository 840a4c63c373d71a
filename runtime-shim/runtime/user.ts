import { closeSync, constants, readFileSync } from 'node:fs'
import { hasCode, openat2, resolve } from '../mount/syscalls.ts'
import type { ProcessUser } from './bundle.ts'

/** The image's user cannot be had in this root. */
export class UserError extends Error {
  override name = 'UserError'
}

/** Lines of passwd(5) or group(5) as fields. */
const records = (text: string): string[][] => text.split('\n').map((line) => line.split(':'))

const numeric = (text: string): number | undefined => (/^\d{1,10}$/.test(text) ? Number(text) : undefined)

/**
 * Who `user[:group]` (the OCI image configuration's `User`) is, by the root's own
 * passwd and group files: ids, and the groups that list the user.
 *
 * @throws UserError when a name is not in the file
 */
export const resolveUser = (wanted: string, passwd: string, group: string): ProcessUser => {
  const [userPart = '', groupPart = ''] = wanted.split(':')
  const users = records(passwd)
  const groups = records(group)
  const asNumber = numeric(userPart === '' ? '0' : userPart)
  const entry = users.find(([name, , uid]) => (asNumber === undefined ? name === userPart : Number(uid) === asNumber))
  if (asNumber === undefined && !entry) {
    throw new UserError(`the image runs as user "${userPart}", which its /etc/passwd does not list`)
  }
  const uid = asNumber ?? Number(entry?.[2])
  const name = entry?.[0]

  if (groupPart === '') {
    const additionalGids = groups
      .filter(([, , , members = '']) => name !== undefined && members.split(',').includes(name))
      .map(([, , gid]) => Number(gid))
    return { uid, gid: Number(entry?.[3] ?? 0), additionalGids }
  }
  const groupEntry = groups.find(([groupName]) => groupName === groupPart)
  const gid = numeric(groupPart) ?? numeric(groupEntry?.[2] ?? '')
  if (gid === undefined)
    throw new UserError(`the image runs as group "${groupPart}", which its /etc/group does not list`)
  return { uid, gid, additionalGids: [] }
}

/** A file of the root, found as a process inside would find it; empty when there is none. */
const readInRoot = (root: number, path: string): string => {
  try {
    const fd = openat2(root, path, constants.O_RDONLY, resolve.inRoot | resolve.noMagiclinks)
    try {
      return readFileSync(fd, 'utf8')
    } finally {
      closeSync(fd)
    }
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return ''
    throw error
  }
}

/** The user of the root open at `root`, with the groups that the pod adds. */
export const resolveUserIn = (root: number, wanted: string, podGroups: readonly number[]): ProcessUser => {
  const user = resolveUser(wanted, readInRoot(root, 'etc/passwd'), readInRoot(root, 'etc/group'))
  return { ...user, additionalGids: [...new Set([...(user.additionalGids ?? []), ...podGroups])] }
}
