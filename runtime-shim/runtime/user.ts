import { closeSync, fstatSync, readFileSync } from 'node:fs'
import { hasCode } from '../mount/error-code.ts'
import { descriptorPath } from '../mount/open.ts'
import { O_PATH, openat2, resolve } from '../mount/syscalls.ts'
import type { Ticket } from '../node/ticket.ts'
import type { ProcessUser } from './bundle.ts'

/** The image's user cannot be had in this root. */
export class UserError extends Error {
  override name = 'UserError'
}

/** Lines of passwd(5) or group(5) as fields. */
const records = (text: string): string[][] => text.split('\n').map((line) => line.split(':'))

const largestId = 2 ** 31 - 1

const numeric = (text: string | undefined): number | undefined =>
  text !== undefined && /^\d{1,10}$/.test(text) && Number(text) <= largestId ? Number(text) : undefined

export interface ResolvedUser {
  uid: number
  gid: number
  /** Groups that list the user. */
  groups: number[]
}

/**
 * Who `user[:group]` (the OCI image configuration's `User`) is, by the root's own
 * passwd and group files, as containerd would find out.
 *
 * @throws UserError when a name is not in the file
 */
export const resolveUser = (wanted: string, passwd: string, group: string): ResolvedUser => {
  const [userPart = '', groupPart = ''] = wanted.split(':')
  const asNumber = userPart === '' ? 0 : numeric(userPart)
  const entry = records(passwd).find(([name, , uid]) =>
    asNumber === undefined ? name === userPart : numeric(uid) === asNumber,
  )
  const uid = asNumber ?? numeric(entry?.[2])
  if (uid === undefined) {
    throw new UserError(`the image runs as user "${userPart}", which its /etc/passwd does not list`)
  }

  const allGroups = records(group)
  const name = entry?.[0]
  const groups = allGroups.flatMap(([, , gid, members = '']) => {
    const id = numeric(gid)
    return id !== undefined && name !== undefined && members.split(',').includes(name) ? [id] : []
  })
  if (groupPart === '') return { uid, gid: numeric(entry?.[3]) ?? 0, groups }

  const gid = numeric(groupPart) ?? numeric(allGroups.find(([groupName]) => groupName === groupPart)?.[2])
  if (gid === undefined)
    throw new UserError(`the image runs as group "${groupPart}", which its /etc/group does not list`)
  return { uid, gid, groups }
}

const largestFile = 16n * 1024n * 1024n

/** A file of the root, found as a process inside would find it; empty when there is none. */
const readInRoot = (root: number, path: string): string => {
  let probe: number
  try {
    probe = openat2(root, path, O_PATH, resolve.inRoot | resolve.noMagiclinks)
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return ''
    throw new UserError(`cannot look up the user: /${path} of the image leads nowhere`, { cause: error })
  }
  try {
    const stats = fstatSync(probe, { bigint: true })
    if (!stats.isFile() || stats.size > largestFile)
      throw new UserError(`cannot look up the user: /${path} of the image is no regular file of at most 16 MiB`)
    return readFileSync(descriptorPath(probe), 'utf8')
  } finally {
    closeSync(probe)
  }
}

/** Whoever the ticket says, by the files of the root open at `root`, with the groups that the pod adds. */
export const resolveUserIn = (
  root: number,
  { user, podGroups, imageGroups }: Pick<Ticket, 'user' | 'podGroups' | 'imageGroups'>,
): ProcessUser => {
  const resolved = resolveUser(user, readInRoot(root, 'etc/passwd'), readInRoot(root, 'etc/group'))
  const groups = [...(imageGroups ? resolved.groups : []), ...podGroups]
  return { uid: resolved.uid, gid: resolved.gid, additionalGids: [...new Set([resolved.gid, ...groups])] }
}
