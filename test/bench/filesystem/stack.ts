import { closeSync, ftruncateSync, mkdirSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import { assertExt3, readSuperblock } from '../../../runtime-shim/mount/superblock.ts'
import { fallocate } from '../../../runtime-shim/mount/syscalls.ts'
import type { Ext3Options, Variant } from './variants.ts'

/** Where stacks are built. */
export interface Ground {
  /** A directory of the volume: the file system underneath. */
  volume: string
  /** The volume's own device; undefined when others write to it too. */
  disk: string | undefined
  /** A directory beside the volume's disk, for disks that are volumes themselves. */
  disks: string
  /** The mounted base. */
  base: string
  imageBytes: number
}

/** A variant, mounted. */
export interface Stack {
  variant: Variant
  /** Where the work is done. */
  root: string
  /** Whose work is counted. */
  disk: string | undefined
  remove(): Promise<void>
}

const allocate = async (file: string, bytes: number, allocation: Ext3Options['allocation']): Promise<void> => {
  const fd = openSync(file, 'wx')
  try {
    if (allocation === 'sparse') ftruncateSync(fd, bytes)
    else fallocate(fd, 0, bytes)
  } finally {
    closeSync(fd)
  }
  if (allocation === 'zeroed') {
    await execa('dd', ['if=/dev/zero', `of=${file}`, 'bs=1M', `count=${bytes / 2 ** 20}`, 'conv=notrunc,fsync'])
  }
}

/** The device stays until it is detached, and is neither mounted nor open. */
export const attach = async (file: string, { io, sectorSize, queue }: Ext3Options['loop']): Promise<string> => {
  const options = [`--direct-io=${io === 'direct' ? 'on' : 'off'}`, `--sector-size=${sectorSize}`]
  const { stdout: device } = await execa('losetup', ['--find', '--show', ...options, file])
  try {
    for (const [name, value] of Object.entries(queue)) {
      writeFileSync(device.replace('/dev/', '/sys/block/').concat(`/queue/${name}`), value)
    }
  } catch (error) {
    await detach(device)
    throw error
  }
  return device
}

export const detach = async (device: string): Promise<void> => {
  await execa('losetup', ['--detach', device])
}

const journalBytes = 64 * 2 ** 20

/** Makes the file system as `prepare` does; returns the devices that must stay attached. */
const format = async (file: string, options: Ext3Options): Promise<string[]> => {
  const always = ['-F', '-q', '-b', '4096', '-m', '0', '-E', 'nodiscard', ...options.mkfs]
  const env = options.zeroing === 'byWriting' ? { UNIX_IO_NOZEROOUT: '1' } : {}
  if (options.journal === 'internal') {
    await execa('mkfs.ext3', [...always, file], { env })
    return []
  }
  const journal = `${file}.journal`
  await allocate(journal, journalBytes, options.allocation)
  const device = await attach(journal, options.loop)
  await execa('mke2fs', ['-F', '-q', '-b', '4096', '-O', 'journal_dev', device], { env })
  await execa('mkfs.ext3', [...always, '-J', `device=${device}`, file], { env })
  return [device]
}

/** Whatever it was mounted with, Apptainer must still take it. */
const assertExchangeable = (file: string): void => {
  const fd = openSync(file, 'r')
  try {
    assertExt3(readSuperblock(fd))
  } finally {
    closeSync(fd)
  }
}

interface MountedImage {
  device: string
  unmount(): Promise<void>
}

const mountImage = async (file: string, at: string, bytes: number, options: Ext3Options): Promise<MountedImage> => {
  await allocate(file, bytes, options.allocation)
  const journals = await format(file, options)
  await execa('sync', [file])
  const device = await attach(file, options.loop)
  try {
    await execa('mount', ['-t', options.driver, '-o', ['nodev', ...options.mount].join(','), device, at])
  } finally {
    await detach(device)
  }
  const unmount = async (): Promise<void> => {
    await execa('umount', [at])
    for (const journal of journals) await detach(journal)
    if (options.exchangeable) assertExchangeable(file)
    rmSync(file)
  }
  return { device, unmount }
}

const mountUpper = async (
  { upper }: Variant,
  at: string,
  { name, volume, disks, imageBytes }: Ground & { name: string },
): Promise<MountedImage | undefined> => {
  switch (upper.kind) {
    case 'image':
      return mountImage(join(volume, `${name}.img`), at, imageBytes, upper.ext3)
    case 'block':
      return mountImage(join(disks, `${name}.disk`), at, imageBytes, upper.ext3)
    case 'memory':
      await execa('mount', ['-t', 'tmpfs', '-o', `size=${imageBytes}`, 'tmpfs', at])
      return {
        device: 'tmpfs',
        unmount: async () => {
          await execa('umount', [at])
        },
      }
    default:
      return undefined
  }
}

const diskOf = ({ upper }: Variant, mounted: MountedImage | undefined, { disk }: Ground): string | undefined => {
  if (upper.kind === 'block') return mounted?.device
  return upper.kind === 'memory' ? undefined : disk
}

/** Makes and mounts a variant, as the runtime does: the base below, the upper layer, the overlay. */
export const buildStack = async (variant: Variant, name: string, ground: Ground): Promise<Stack> => {
  const { overlay } = variant
  const dir = join(ground.volume, name)
  const [at, merged] = [join(dir, 'at'), join(dir, 'merged')]
  for (const path of [dir, at, merged]) mkdirSync(path)
  const mounted = await mountUpper(variant, at, { ...ground, name })
  const unmount = async (): Promise<void> => {
    await mounted?.unmount()
    rmSync(dir, { recursive: true })
  }
  const disk = diskOf(variant, mounted, ground)
  if (overlay === undefined) return { variant, root: at, disk, remove: unmount }

  for (const layer of ['upper', 'work']) mkdirSync(join(at, layer))
  const layers = [`lowerdir=${ground.base}`, `upperdir=${at}/upper`, `workdir=${at}/work`]
  await execa('mount', ['-t', 'overlay', '-o', [...layers, ...overlay, 'nodev'].join(','), 'lamina', merged])
  const remove = async (): Promise<void> => {
    await execa('umount', [merged])
    await unmount()
  }
  return { variant, root: merged, disk, remove }
}
