import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process'
import { fchownSync } from 'node:fs'

/** Nobody: who reads bytes that a stranger arranged has no more rights than he needs. */
export const unprivileged = { uid: 65534, gid: 65534 } as const

/** An ordinary user has no rights to give up, and his files are his. */
export const isRoot = process.getuid?.() === 0

const becomeNobody = ['--clear-groups', '--inh-caps=-all', '--bounding-set=-all']
const dropPrivileges = [
  '--no-new-privs',
  ...(isRoot ? [...becomeNobody, `--reuid=${unprivileged.uid}`, `--regid=${unprivileged.gid}`] : []),
  '--',
]

/** Lets a tool open the file as its third descriptor. */
export const giveToTools = (fd: number): void => {
  if (isRoot) fchownSync(fd, unprivileged.uid, unprivileged.gid)
}

/** The file is whose it was before. */
export const giveBackTo = (fd: number, { uid, gid }: { uid: number; gid: number }): void => {
  if (isRoot) fchownSync(fd, uid, gid)
}

/** The file is our own again. */
export const takeFromTools = (fd: number): void => {
  giveBackTo(fd, { uid: 0, gid: 0 })
}

/** Where a tool finds the file that it is given as descriptor 3. Opening it asks for rights on the file. */
export const thirdDescriptor = '/proc/self/fd/3'

/**
 * mkfs.ext3 writes its zeros itself. Asked for, they would stay unwritten in the
 * volume's file system, which then converts a piece of them with each commit of the journal.
 */
const writesZeros = { UNIX_IO_NOZEROOUT: '1' }

/** Starts a tool of the system as nobody and without capabilities, by setpriv(1). */
export const spawnUnprivileged = (tool: string, args: readonly string[], stdio: StdioOptions): ChildProcess =>
  spawn('setpriv', [...dropPrivileges, tool, ...args], {
    stdio,
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C', ...writesZeros },
  })
