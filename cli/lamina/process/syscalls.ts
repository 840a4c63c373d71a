import koffi from 'koffi'
import { check } from '../../../runtime-shim/mount/syscalls.ts'

/** System calls by which a process becomes a container's. As {@link check} tells, each throws a SyscallError. */

const libc = koffi.load('libc.so.6')
const native = {
  pivotRoot: libc.func('int pivot_root(const char*, const char*)'),
  umount2: libc.func('int umount2(const char*, int)'),
  fchdir: libc.func('int fchdir(int)'),
  chroot: libc.func('int chroot(const char*)'),
  sethostname: libc.func('int sethostname(const char*, size_t)'),
  signal: libc.func('size_t signal(int, size_t)'),
  fcntl: libc.func('int fcntl(int, int, long)'),
  execve: libc.func('int execve(const char*, const char**, const char**)'),
}

const MNT_DETACH = 2

/**
 * Makes the mounted directory open at `fd` the root of this namespace, and this
 * thread's directory; what was mounted before goes, as far as nothing in the new
 * root stands on it.
 */
export const becomeRoot = (fd: number): void => {
  check('fchdir', `fd ${fd}`, native.fchdir(fd))
  // The old root comes to lie over the new one, and is taken away (pivot_root(2), NOTES).
  check('pivot_root', '.', native.pivotRoot('.', '.'))
  check('umount2', '.', native.umount2('.', MNT_DETACH))
  check('chroot', '.', native.chroot('.'))
  process.chdir('/')
}

/** sethostname(2), of the calling thread's UTS namespace. */
export const setHostname = (name: string): void => {
  check('sethostname', name, native.sethostname(name, Buffer.byteLength(name)))
}

const SIG_IGN = 1

/** signal(2) to SIG_IGN. */
export const ignoreSignal = (signal: number): void => {
  native.signal(signal, SIG_IGN)
}

const F_SETFD = 2

/** Clears FD_CLOEXEC (fcntl(2)): Node sets it on all that it inherits. */
export const keepOverExec = (fd: number): void => {
  check('fcntl', `F_SETFD ${fd}`, native.fcntl(fd, F_SETFD, 0))
}

/**
 * execve(2); returns only by throwing. Node's own (`process.execve`) ends the
 * process with a core dump where the kernel refuses.
 */
export const execve = (program: string, args: readonly string[], env: Readonly<Record<string, string>>): never => {
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`)
  check('execve', program, native.execve(program, [...args, null], [...variables, null]))
  throw new Error(`execve(${program}) came back`)
}
