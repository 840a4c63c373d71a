import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'

/** An ext4 file system of its own at `path`, for disks that fill up; gives back what removes it. */
export const mountSmallDisk = (path: string, mebibytes: number): (() => void) => {
  const image = `${path}.disk`
  execFileSync('truncate', ['-s', `${mebibytes}M`, image])
  execFileSync('mkfs.ext4', ['-q', '-m', '0', image])
  mkdirSync(path, { recursive: true })
  execFileSync('mount', ['-o', 'loop', image, path])
  return () => {
    execFileSync('umount', [path])
    rmSync(image)
  }
}
