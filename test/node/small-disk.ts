import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'

const makers = { ext4: ['mkfs.ext4', '-q', '-m', '0'], xfs: ['mkfs.xfs', '-q'] } as const

/** A file system of its own at `path`, for disks that fill up; XFS wants 300 MiB. Gives back what removes it. */
export const mountSmallDisk = (
  path: string,
  mebibytes: number,
  fileSystem: keyof typeof makers = 'ext4',
): (() => void) => {
  const image = `${path}.disk`
  execFileSync('truncate', ['-s', `${mebibytes}M`, image])
  const [maker, ...options] = makers[fileSystem]
  execFileSync(maker, [...options, image])
  mkdirSync(path, { recursive: true })
  execFileSync('mount', ['-o', 'loop', image, path])
  return () => {
    execFileSync('umount', [path])
    rmSync(image)
  }
}
