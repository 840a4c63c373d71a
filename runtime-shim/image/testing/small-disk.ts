import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** A file system of so many MiB, and so many inodes if that is said, mounted for the while. */
export const withSmallDisk = async <T>(
  { mebibytes, inodes }: { mebibytes: number; inodes?: number },
  act: (directory: string) => Promise<T>,
): Promise<T> => {
  const dir = await mkdtemp(join(tmpdir(), 'lamina-disk-'))
  const directory = join(dir, 'disk')
  const make = `truncate -s ${mebibytes}M image && mkfs.ext4 -q -m 0 ${inodes === undefined ? '' : `-N ${inodes}`} image && mkdir disk && mount -o loop image disk`
  await run('sh', ['-ec', make], { cwd: dir })
  try {
    return await act(directory)
  } finally {
    await run('umount', [directory])
    await rm(dir, { recursive: true })
  }
}
