import { execFileSync } from 'node:child_process'
import { closeSync, ftruncateSync, mkdirSync, openSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Images for tests that run on the real kernel. */

/** gensquashfs(1) pack lines, one entry each; files take their content from the host. */
export const makeSquashfs = (path: string, entries: readonly string[]): string => {
  const packFile = `${path}.entries`
  writeFileSync(packFile, `${entries.join('\n')}\n`)
  execFileSync('gensquashfs', ['--pack-file', packFile, '--compressor', 'gzip', '--force', '--quiet', path])
  return path
}

/** Entries of a small base; programs are the host's, since the tests look at roots from outside. */
export const smallBase = [
  'dir / 0755 0 0',
  'dir /etc 0755 0 0',
  'file /etc/passwd 0644 0 0 /etc/passwd',
  'file /etc/group 0644 0 0 /etc/group',
  'dir /opt 0755 0 0',
]

/** A sparse ext3 image, as `mkfs.ext3` makes it. */
const makeExt3 = (path: string, mebibytes = 16, ...options: string[]): string => {
  const fd = openSync(path, 'wx', 0o600)
  ftruncateSync(fd, mebibytes * 2 ** 20)
  closeSync(fd)
  execFileSync('mkfs.ext3', ['-F', '-q', ...options, path])
  return path
}

/** A volume's directory with an overlay image in it. */
export const makeVolume = (dir: string, mebibytes?: number, ...options: string[]): string => {
  mkdirSync(dir, { recursive: true })
  makeExt3(join(dir, 'overlay.img'), mebibytes, ...options)
  return dir
}

/** Changes a file system image without mounting it (debugfs(8)); what it says goes to stderr even when all is well. */
export const editExt3 = (image: string, ...commands: string[]): string =>
  commands
    .map((command) => execFileSync('debugfs', ['-w', '-R', command, image], { stdio: 'pipe' }).toString())
    .join('')
