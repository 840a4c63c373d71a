import { mkdir, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'

/** A volume of the development cluster, in a file, so that it is bounded and "disk full" is real. */
export interface Volume {
  /** What the `local` PersistentVolume names: a directory, or a block device. */
  path: string
  create(bytes: number): Promise<void>
  /** Makes it usable again after a restart of the cluster; harmless when it is. */
  mount(): Promise<void>
  grow(bytes: number): Promise<void>
  remove(): Promise<void>
}

/** The file system's journal and reserves; on larger volumes than the tests' it is nothing. */
const overheadBytes = 20 * 2 ** 20

const endings = { Filesystem: '.xfs', Block: '.block' } as const
export type VolumeMode = keyof typeof endings

/** The volume that a file of the volumes' folder is, undefined for other files. */
export const volumeOfFile = (dir: string, file: string): { name: string; volume: Volume } | undefined => {
  for (const mode of ['Filesystem', 'Block'] as const) {
    if (!file.endsWith(endings[mode])) continue
    const name = file.slice(0, -endings[mode].length)
    return { name, volume: openVolume(dir, name, mode) }
  }
  return undefined
}

export const openVolume = (dir: string, name: string, mode: VolumeMode): Volume =>
  mode === 'Block' ? openBlockVolume(dir, name) : openFilesystemVolume(dir, name)

/** A loop device over a sparse file; `path` is a link to it. */
const openBlockVolume = (dir: string, name: string): Volume => {
  const file = join(dir, `${name}${endings.Block}`)
  const path = join(dir, name)
  const devices = async (): Promise<string[]> => {
    const { stdout } = await execa('losetup', ['--associated', file, '--noheadings', '--output', 'NAME'])
    return stdout.split('\n').filter(Boolean)
  }
  const mount: Volume['mount'] = async () => {
    const [known] = await devices()
    const device = known ?? (await execa('losetup', ['--find', '--show', file])).stdout
    await rm(path, { force: true })
    await symlink(device, path)
  }
  return {
    path,
    mount,
    create: async (bytes) => {
      await writeFile(file, '')
      await truncate(file, bytes)
      await mount()
    },
    grow: async (bytes) => {
      await truncate(file, bytes)
      for (const device of await devices()) await execa('losetup', ['--set-capacity', device])
    },
    remove: async () => {
      for (const device of await devices()) await execa('losetup', ['--detach', device])
      await rm(path, { force: true })
      await rm(file, { force: true })
    },
  }
}

/**
 * An XFS file system, mounted through a loop device. XFS grows while mounted
 * with CAP_SYS_ADMIN alone; ext4 also asks for CAP_SYS_RESOURCE, which a
 * container that plays a machine often lacks.
 */
const openFilesystemVolume = (dir: string, name: string): Volume => {
  const file = join(dir, `${name}${endings.Filesystem}`)
  const path = join(dir, name)
  const mounted = async () => (await execa('mountpoint', ['--quiet', path], { reject: false })).exitCode === 0

  const mount: Volume['mount'] = async () => {
    if (await mounted()) return
    await mkdir(path, { recursive: true })
    await execa('mount', ['-t', 'xfs', '-o', 'loop', file, path])
  }
  return {
    path,
    mount,
    create: async (bytes) => {
      await writeFile(file, '')
      await truncate(file, bytes + overheadBytes)
      // Unsupported means: smaller than 300 MiB.
      await execa('mkfs.xfs', ['--unsupported', '-q', '-f', '-m', 'reflink=1', '-l', 'size=8m', file])
      await mount()
    },
    grow: async (bytes) => {
      await truncate(file, bytes + overheadBytes)
      const { stdout: device } = await execa('findmnt', ['--noheadings', '--output', 'SOURCE', path])
      await execa('losetup', ['--set-capacity', device])
      await execa('xfs_growfs', ['-d', path])
    },
    remove: async () => {
      if (await mounted()) await execa('umount', [path])
      await rm(path, { recursive: true, force: true })
      await rm(file, { force: true })
    },
  }
}
