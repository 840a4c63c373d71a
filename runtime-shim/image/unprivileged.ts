import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process'

/** Nobody: who reads bytes that a stranger arranged has no more rights than he needs. */
export const unprivileged = { uid: 65534, gid: 65534 } as const

const dropPrivileges = [
  ...['--no-new-privs', '--clear-groups', '--inh-caps=-all', '--bounding-set=-all'],
  ...[`--reuid=${unprivileged.uid}`, `--regid=${unprivileged.gid}`, '--'],
]

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
