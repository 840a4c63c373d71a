import koffi from 'koffi'
import { hasCode } from '../../../runtime-shim/mount/error-code.ts'
import { CLONE_NEWNS, check, mount, mountFlags, unshare } from '../../../runtime-shim/mount/syscalls.ts'

/** System calls by which a process becomes a container's. As {@link check} tells, each throws a SyscallError. */

const libc = koffi.load('libc.so.6')
const native = {
  pivotRoot: libc.func('int pivot_root(const char*, const char*)'),
  umount2: libc.func('int umount2(const char*, int)'),
  chroot: libc.func('int chroot(const char*)'),
  prctl: libc.func('int prctl(int, unsigned long, unsigned long, unsigned long, unsigned long)'),
  mountSetattr: libc.func('long syscall(long, int, const char*, unsigned int, void*, size_t)'),
  syncfs: libc.func('int syncfs(int)'),
  setns: libc.func('int setns(int, int)'),
  pidfdOpen: libc.func('long syscall(long, int, unsigned int)'),
  pidfdSendSignal: libc.func('long syscall(long, int, int, void*, unsigned int)'),
  waitid: libc.func('int waitid(int, int, void*, int)'),
  getrlimit: libc.func('int getrlimit(int, void*)'),
  dup2: libc.func('int dup2(int, int)'),
  signal: libc.func('size_t signal(int, size_t)'),
  fcntl: libc.func('int fcntl(int, int, long)'),
  execve: libc.func('int execve(const char*, const char**, const char**)'),
}

const MNT_DETACH = 2

/**
 * Makes the directory the root of this thread's mount namespace, of all in it whose root was that of the namespace, and
 * this thread's directory; what was mounted before goes, as far as nothing in the new root stands on it.
 */
export const becomeRoot = (path: string): void => {
  // In a user namespace what was mounted outside of it is locked, and can be no root; what is mounted here can.
  mount(path, path, null, mountFlags.bind | mountFlags.recursive, null)
  process.chdir(path)
  // The old root comes to lie over the new one, and is taken away (pivot_root(2), NOTES).
  check('pivot_root', '.', native.pivotRoot('.', '.'))
  check('umount2', '.', native.umount2('.', MNT_DETACH))
  check('chroot', '.', native.chroot('.'))
  process.chdir('/')
}

/** unshare(2) and setns(2) flags, beside CLONE_NEWNS. */
export const CLONE_NEWPID = 0x20000000
const CLONE_FS = 0x00000200

/** Has children enter the process namespace open at `fd` (setns(2)). */
export const enterProcesses = (fd: number): void => {
  check('setns', 'pid', native.setns(fd, CLONE_NEWPID))
}

/** Enters the mount namespace open at `fd`, with its root as this thread's (setns(2)). */
export const enterMounts = (fd: number): void => {
  // Node's other threads share the root with this one, which setns(2) does not allow.
  unshare(CLONE_FS)
  check('setns', 'mnt', native.setns(fd, CLONE_NEWNS))
}

const PR_CAP_AMBIENT = 47
const PR_CAP_AMBIENT_CLEAR_ALL = 4

/** What this process executes has no capabilities, unless it is root (capabilities(7)). */
export const giveUpAmbientCapabilities = (): void => {
  check('prctl', 'PR_CAP_AMBIENT', native.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0))
}

const SYS_mount_setattr = 442
const AT_FDCWD = -100
const AT_RECURSIVE = 0x8000
const MOUNT_ATTR_RDONLY = 1n
/** struct mount_attr has 32 bytes, the first eight of which are what is to be set. */
const mountAttrBytes = 32

/** Makes what is mounted there, and all below it, read-only; what else it is (nosuid, nodev, noexec) stays (mount_setattr(2)). */
export const makeReadOnly = (path: string): void => {
  const attr = Buffer.alloc(mountAttrBytes)
  attr.writeBigUInt64LE(MOUNT_ATTR_RDONLY, 0)
  const result = native.mountSetattr(SYS_mount_setattr, AT_FDCWD, path, AT_RECURSIVE, attr, mountAttrBytes)
  check('mount_setattr', path, Number(result))
}

/** syncfs(2): what is dirty of the file system of `fd` goes to whoever keeps it. */
export const syncFileSystem = (fd: number): void => {
  check('syncfs', `fd ${fd}`, native.syncfs(fd))
}

const SYS_pidfd_send_signal = 424
const SYS_pidfd_open = 434

/** pidfd_open(2): means that very process, also when its number is another's. */
export const openProcess = (pid: number): number =>
  check('pidfd_open', String(pid), Number(native.pidfdOpen(SYS_pidfd_open, pid, 0)))

/** pidfd_send_signal(2). */
export const sendSignal = (process: number, signal: number): void => {
  check(
    'pidfd_send_signal',
    String(signal),
    Number(native.pidfdSendSignal(SYS_pidfd_send_signal, process, signal, null, 0)),
  )
}

const P_PID = 1
const WSTOPPED = 2
const WNOHANG = 1
/** siginfo_t has 128 bytes; the process is the fifth word. */
const siginfoBytes = 128
const siginfoProcess = 16

/** waitid(2): whether a child has been stopped since this was asked last. That it has ended is left for others to hear. */
export const hasStopped = (child: number): boolean => {
  const info = Buffer.alloc(siginfoBytes)
  return native.waitid(P_PID, child, info, WSTOPPED | WNOHANG) === 0 && info.readInt32LE(siginfoProcess) === child
}

/** dup2(2): `to` becomes what `from` is. */
export const becomeCopy = (from: number, to: number): void => {
  check('dup2', `${from} ${to}`, native.dup2(from, to))
}

const RLIMIT_NOFILE = 7

/** getrlimit(2) of the number of open files; as /proc says it too, which a process of another namespace cannot read. */
export const openFileLimit = (): { soft: bigint; hard: bigint } => {
  const limit = Buffer.alloc(16)
  check('getrlimit', 'RLIMIT_NOFILE', native.getrlimit(RLIMIT_NOFILE, limit))
  return { soft: limit.readBigUInt64LE(0), hard: limit.readBigUInt64LE(8) }
}

const SIG_IGN = 1

/** signal(2) to SIG_IGN. */
export const ignoreSignal = (signal: number): void => {
  native.signal(signal, SIG_IGN)
}

const F_SETFD = 2

/** Clears FD_CLOEXEC (fcntl(2)): Node sets it on all that it inherits. One that is closed by now is left out. */
export const keepOverExec = (fd: number): void => {
  try {
    check('fcntl', `F_SETFD ${fd}`, native.fcntl(fd, F_SETFD, 0))
  } catch (error) {
    if (!hasCode(error, 'EBADF')) throw error
  }
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
