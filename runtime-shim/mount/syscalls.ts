import { getSystemErrorName } from 'node:util'
import koffi from 'koffi'
import { corruptionCodes } from './error-code.ts'

/**
 * The system calls that Node has no binding for. Each returns what the kernel
 * returns, or throws a {@link SyscallError}. All are synchronous and run on the
 * calling thread, which matters for `unshare`: the new namespace is that
 * thread's alone.
 */

class SyscallError extends Error {
  readonly call: string
  /** As Node names it in its own errors: EAGAIN for EWOULDBLOCK, ENOTSUP for EOPNOTSUPP. */
  readonly code: string
  /** Negative, as in Node's own errors. */
  readonly errno: number
  constructor(call: string, errno: number, subject: string) {
    const code = corruptionCodes[errno] ?? getSystemErrorName(-errno)
    super(`${call}(${subject}): ${code}`)
    this.name = 'SyscallError'
    this.call = call
    this.code = code
    this.errno = -errno
  }
}

const libc = koffi.load('libc.so.6')
const native = {
  syscall: libc.func('long syscall(long, long, const char*, void*, size_t)'),
  openTree: libc.func('long syscall(long, int, const char*, unsigned int)'),
  closeRange: libc.func('long syscall(long, unsigned int, unsigned int, unsigned int)'),
  unshare: libc.func('int unshare(int)'),
  mount: libc.func('int mount(const char*, const char*, const char*, unsigned long, const char*)'),
  umount2: libc.func('int umount2(const char*, int)'),
  ioctlNumber: libc.func('int ioctl(int, unsigned long, long)'),
  ioctlBuffer: libc.func('int ioctl(int, unsigned long, void*)'),
  flock: libc.func('int flock(int, int)'),
  fcntlBuffer: libc.func('int fcntl(int, int, void*)'),
  fallocate: libc.func('int fallocate(int, int, int64_t, int64_t)'),
  fsopen: libc.func('long syscall(long, const char*, unsigned int)'),
  fsconfig: libc.func('long syscall(long, int, unsigned int, const char*, const char*, int)'),
  read: libc.func('long read(int, void*, size_t)'),
  linkat: libc.func('int linkat(int, const char*, int, const char*, int)'),
  mknodat: libc.func('int mknodat(int, const char*, unsigned int, unsigned long)'),
  llistxattr: libc.func('long llistxattr(const char*, void*, size_t)'),
  lgetxattr: libc.func('long lgetxattr(const char*, const char*, void*, size_t)'),
  lsetxattr: libc.func('int lsetxattr(const char*, const char*, void*, size_t, int)'),
  lremovexattr: libc.func('int lremovexattr(const char*, const char*)'),
  signal: libc.func('void* signal(int, void*)'),
  setrlimit: libc.func('int setrlimit(int, void*)'),
  socket: libc.func('int socket(int, int, int)'),
  close: libc.func('int close(int)'),
}

/** @throws SyscallError when the call has failed, with what koffi has kept of errno */
export const check = (call: string, subject: string, result: number): number => {
  if (result < 0) throw new SyscallError(call, koffi.errno(), subject)
  return result
}

const SYS_open_tree = 428
const SYS_close_range = 436
const SYS_openat2 = 437

/** openat2(2): how a path may be resolved. */
export const resolve = { noXdev: 0x01, noMagiclinks: 0x02, noSymlinks: 0x04, beneath: 0x08, inRoot: 0x10 } as const

/** No symlink, no `..` out, no other file system: for every path inside a volume, an image or a root. */
export const resolveStrictly = resolve.beneath | resolve.noSymlinks | resolve.noMagiclinks | resolve.noXdev

/** open(2) flags that `fs.constants` lacks. */
export const O_PATH = 0o10000000
const O_CLOEXEC = 0o2000000

/** A path whose bytes need not be UTF-8, as a C string. */
const cString = (path: string | Buffer): Buffer => Buffer.concat([Buffer.from(path), Buffer.alloc(1)])

/** Opens `path` below the directory `dirfd` as openat2(2) does; the descriptor is close-on-exec. */
export const openat2 = (
  dirfd: number,
  path: string | Buffer,
  flags: number,
  resolveFlags: number,
  mode = 0,
): number => {
  const how = Buffer.alloc(24)
  how.writeBigUInt64LE(BigInt(flags | O_CLOEXEC), 0)
  how.writeBigUInt64LE(BigInt(mode), 8)
  how.writeBigUInt64LE(BigInt(resolveFlags), 16)
  return check('openat2', String(path), Number(native.syscall(SYS_openat2, dirfd, cString(path), how, how.length)))
}

const AT_FDCWD = -100
const OPEN_TREE_CLONE = 1
const AT_RECURSIVE = 0x8000

/**
 * A mount of its own of what `path` leads to, attached nowhere (open_tree(2)): what is opened through it keeps no other
 * mount busy.
 */
export const openTree = (path: string): number => {
  const open = (flags: number): number =>
    Number(native.openTree(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | O_CLOEXEC | flags))
  const fd = open(0)
  // In a user namespace what is mounted below cannot be left out: EINVAL.
  return check('open_tree', path, fd < 0 ? open(AT_RECURSIVE) : fd)
}

export const CLONE_NEWNS = 0x00020000

/** unshare(2) of the calling thread. */
export const unshare = (flags: number): void => {
  check('unshare', flags.toString(16), native.unshare(flags))
}

/** mount(2) flags. */
export const mountFlags = {
  readOnly: 1,
  nosuid: 2,
  nodev: 4,
  remount: 32,
  bind: 4096,
  recursive: 16384,
  slave: 1 << 19,
} as const

/** mount(2). */
export const mount = (
  source: string,
  target: string,
  type: string | null,
  flags: number,
  data: string | null,
): void => {
  check('mount', `${type ?? 'bind'} ${source} on ${target}`, native.mount(source, target, type, flags, data))
}

export const umount = (target: string): void => {
  check('umount', target, native.umount2(target, 0))
}

export const ioctl = (fd: number, request: number, argument: number | Buffer): number => {
  const result =
    typeof argument === 'number' ? native.ioctlNumber(fd, request, argument) : native.ioctlBuffer(fd, request, argument)
  return check('ioctl', request.toString(16), result)
}

export const lockKind = { shared: 1, exclusive: 2, unlock: 8 } as const
const LOCK_NB = 4

/** flock(2). With `wait: false`, EAGAIN says that another holds it. */
export const flock = (fd: number, kind: number, { wait }: { wait: boolean }): void => {
  check('flock', `fd ${fd}`, native.flock(fd, kind | (wait ? 0 : LOCK_NB)))
}

const F_OFD_SETLK = 37
const recordLockType = { read: 0, write: 1 } as const

/** An open-file-description lock on the whole range (fcntl(2), F_OFD_SETLK); EAGAIN when another has it. */
export const lockWholeRange = (fd: number, type: keyof typeof recordLockType): void => {
  const record = Buffer.alloc(32)
  record.writeInt16LE(recordLockType[type], 0)
  check('fcntl', `F_OFD_SETLK fd ${fd}`, native.fcntlBuffer(fd, F_OFD_SETLK, record))
}

/** fallocate(2), mode 0: the range is backed by real blocks, or ENOSPC. */
export const fallocate = (fd: number, offset: number, length: number): void => {
  check('fallocate', `fd ${fd}, ${length} bytes`, native.fallocate(fd, 0, offset, length))
}

const AT_SYMLINK_FOLLOW = 0x400

/** linkat(2): gives the open file a name that nothing has; ENOENT when all its own names have been taken away. */
export const linkDescriptor = (fd: number, path: string): void => {
  check('linkat', path, native.linkat(AT_FDCWD, `/proc/self/fd/${fd}`, AT_FDCWD, path, AT_SYMLINK_FOLLOW))
}

const S_IFCHR = 0o020000

/** mknodat(2) of the character device 0:0 under a name of one component: overlayfs' whiteout. */
export const makeWhiteout = (dirfd: number, name: Buffer): void => {
  check('mknodat', String(name), native.mknodat(dirfd, cString(name), S_IFCHR, 0))
}

/** The kernel's bound on the list of names (XATTR_LIST_MAX). */
const longestXattrList = 65_536
const xattrList = Buffer.alloc(longestXattrList)

/** The names of xattr(7), a link's own where `path` ends in one. */
export const listXattrs = (path: Buffer): string[] => {
  const length = Number(native.llistxattr(cString(path), xattrList, xattrList.length))
  // The path is put into words only where it is needed: this is called for every file of a layer.
  if (length < 0) check('llistxattr', String(path), length)
  return length === 0 ? [] : xattrList.toString('utf8', 0, length).split('\0').slice(0, -1)
}

/** The kernel's bound on a value's length (XATTR_SIZE_MAX). */
const longestXattr = 65_536

/** lgetxattr(2). */
export const getXattr = (path: Buffer, name: string): Buffer => {
  const value = Buffer.alloc(longestXattr)
  const length = check(
    'lgetxattr',
    `${path}, ${name}`,
    Number(native.lgetxattr(cString(path), name, value, value.length)),
  )
  return value.subarray(0, length)
}

/** lsetxattr(2). */
export const setXattr = (path: Buffer, name: string, value: Buffer): void => {
  check('lsetxattr', `${path}, ${name}`, native.lsetxattr(cString(path), name, value, value.length, 0))
}

/** lremovexattr(2). */
export const removeXattr = (path: Buffer, name: string): void => {
  check('lremovexattr', `${path}, ${name}`, native.lremovexattr(cString(path), name))
}

const SYS_fsopen = 430
const SYS_fsconfig = 431
const fsconfigCommand = { setFlag: 0, setString: 1, create: 6 } as const

/**
 * What the kernel says of why it does not mount a device read-only, for which
 * mount(2) has only a number: tries once more by fsopen(2), whose descriptor
 * gives the words. Empty when it says nothing.
 */
export const mountComplaint = (type: string, source: string): string => {
  const context = Number(native.fsopen(SYS_fsopen, type, 0))
  if (context < 0) return ''
  try {
    native.fsconfig(SYS_fsconfig, context, fsconfigCommand.setString, 'source', source, 0)
    native.fsconfig(SYS_fsconfig, context, fsconfigCommand.setFlag, 'ro', null, 0)
    native.fsconfig(SYS_fsconfig, context, fsconfigCommand.create, null, null, 0)
    const text = Buffer.alloc(1024)
    const length = Number(native.read(context, text, text.length))
    return length < 0 ? '' : text.toString('utf8', 0, length).trim()
  } finally {
    native.close(context)
  }
}

const CLOSE_RANGE_CLOEXEC = 4

/** All descriptors from `first` on are closed at the next execve (close_range(2)). */
export const closeOnExecFrom = (first: number): void => {
  check(
    'close_range',
    String(first),
    Number(native.closeRange(SYS_close_range, first, 0xffffffff, CLOSE_RANGE_CLOEXEC)),
  )
}

/** Back to SIG_DFL (signal(2)): ignored signals are inherited through execve. */
export const resetSignal = (signal: number): void => {
  native.signal(signal, null)
}

const RLIMIT_NOFILE = 7

/** setrlimit(2) of the number of open files. */
export const setOpenFileLimit = (soft: bigint, hard: bigint): void => {
  const limit = Buffer.alloc(16)
  limit.writeBigUInt64LE(soft, 0)
  limit.writeBigUInt64LE(hard, 8)
  check('setrlimit', 'RLIMIT_NOFILE', native.setrlimit(RLIMIT_NOFILE, limit))
}

const AF_UNIX = 1
const SOCK_STREAM = 1

/** Opening and closing a Unix socket makes the kernel collect sockets that hold descriptors in a cycle. */
export const triggerSocketCollection = (): void => {
  const fd = native.socket(AF_UNIX, SOCK_STREAM, 0)
  if (fd >= 0) native.close(fd)
}
