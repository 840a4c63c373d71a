/**
 * What the agent does within an overlay's file system: in a process of its own,
 * whose mounts nobody else sees and which go with it.
 *
 * usage: overlay-worker.cjs TASK    (JSON, ./task.ts), the overlay open as descriptor 3
 */
import { closeSync, writeSync } from 'node:fs'
import { hasCode } from '../../../mount/error-code.ts'
import { ForeignFormError, normaliseUpper } from '../../../mount/foreign.ts'
import { attachLoop, isAttached } from '../../../mount/loop.ts'
import { descriptorPath, openDirectoryBelow, withDirectory } from '../../../mount/open.ts'
import type { Extent } from '../../../mount/parts.ts'
import { readOverlayRecord, writeOverlayRecord } from '../../../mount/record.ts'
import { CLONE_NEWNS, ioctl, mount, mountFlags, umount, unshare } from '../../../mount/syscalls.ts'
import { retrySync } from '../../../mount/wait.ts'
import { type WorkerAnswer, type WorkerTask, workerTaskSchema } from './task.ts'

const overlay = 3

const noexec = 8
const EXT4_IOC_RESIZE_FS = 0x40086610

/** Mounts the device over a directory that is there, in a namespace of our own: nothing is to be made or removed. */
const mounted = <T>(device: string, mountAt: string, act: () => T): T => {
  unshare(CLONE_NEWNS)
  mount('none', '/', null, mountFlags.recursive | mountFlags.slave, null)
  const flags = mountFlags.nosuid | mountFlags.nodev | noexec
  mount(device, mountAt, 'ext4', flags, 'errors=remount-ro,data_err=abort')
  try {
    return act()
  } finally {
    umount(mountAt)
  }
}

const openUpper = (top: number): number | undefined => {
  try {
    return openDirectoryBelow(top, 'upper', 'upper/')
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
}

/** One with a record of ours has been written by nobody else; one without `upper/` has nothing in it. */
const normalise = (top: number): WorkerAnswer => {
  const upper = readOverlayRecord(top) === undefined ? openUpper(top) : undefined
  if (upper === undefined) return { normalised: 0 }
  try {
    const normalised = normaliseUpper(upper)
    writeOverlayRecord(top, { normalised: true })
    return { normalised }
  } finally {
    closeSync(upper)
  }
}

const normaliseOn = (device: string, mountAt: string): WorkerAnswer =>
  mounted(device, mountAt, () => withDirectory(mountAt, normalise))

const importImage = (extent: Extent, lockDir: string): WorkerAnswer => {
  const loop = attachLoop({ fd: overlay, name: 'import', extent, lockDir }, { kind: 'write' })
  try {
    return normaliseOn(loop.path, lockDir)
  } finally {
    closeSync(loop.fd)
    // Whoever goes on with the file must find it as it was left.
    retrySync(
      () => {
        if (isAttached(loop)) throw new Error(`${loop.path} stays attached`)
      },
      () => true,
      { forMs: 10_000, everyMs: 2 },
    )
  }
}

/** The file system is mounted already: this is the same one once more, by which it can be spoken to. */
const grow = (blocks: number, mountAt: string): WorkerAnswer => {
  const argument = Buffer.alloc(8)
  argument.writeBigUInt64LE(BigInt(blocks))
  mounted(descriptorPath(overlay), mountAt, () =>
    withDirectory(mountAt, (top) => {
      const fd = openDirectoryBelow(top, '.', mountAt)
      try {
        ioctl(fd, EXT4_IOC_RESIZE_FS, argument)
      } finally {
        closeSync(fd)
      }
    }),
  )
  return { normalised: 0 }
}

const work = (task: WorkerTask): WorkerAnswer => {
  switch (task.kind) {
    case 'image':
      return importImage(task.extent, task.lockDir)
    case 'device':
      return normaliseOn(descriptorPath(overlay), task.mountAt)
    case 'directory':
      return normalise(overlay)
    case 'grow':
      return grow(task.blocks, task.mountAt)
  }
}

const codeOf = (error: unknown): string | undefined =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined

const attempt = (task: WorkerTask): WorkerAnswer => {
  try {
    return work(task)
  } catch (error) {
    const code = codeOf(error)
    const words = error instanceof ForeignFormError ? error.message : String(error)
    return { error: words, normalised: 0, ...(code === undefined ? {} : { code }) }
  }
}

const main = (): void => {
  const task = workerTaskSchema.parse(JSON.parse(process.argv[2] ?? ''))
  writeSync(1, `${JSON.stringify(attempt(task))}\n`)
}

main()
