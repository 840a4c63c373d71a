import { mkdir, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'

/**
 * One volume: an XFS file system in a file, mounted through a loop device, so
 * that it is bounded and "disk full" is real. XFS grows while mounted with
 * CAP_SYS_ADMIN alone; ext4 also asks for CAP_SYS_RESOURCE, which a container
 * that plays a machine often lacks.
 */
export interface Volume {
  path: string
  create(bytes: number): Promise<void>
  /** Harmless when it is mounted. */
  mount(): Promise<void>
  grow(bytes: number): Promise<void>
  remove(): Promise<void>
}

/** The file system's journal and reserves; on larger volumes than the tests' it is nothing. */
const overheadBytes = 20 * 2 ** 20

export const fileEnding = '.xfs'

export const openVolume = (dir: string, name: string): Volume => {
  const file = join(dir, `${name}${fileEnding}`)
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
