import { rmSync, writeFileSync } from 'node:fs'

/** The lowest layer of every root, in gensquashfs(1)'s words: name, mode, owner; files are empty. */
const entries = [
  'dir / 0755 0 0',
  'dir /dev 0755 0 0',
  'dir /etc 0755 0 0',
  'file /etc/hostname 0644 0 0 /dev/null',
  'file /etc/hosts 0644 0 0 /dev/null',
  'file /etc/resolv.conf 0644 0 0 /dev/null',
  'dir /proc 0755 0 0',
  'dir /sys 0755 0 0',
  'dir /.lamina 0755 0 0',
  'file /.lamina/init 0755 0 0 /dev/null',
]

/**
 * Writes the skeleton: a 4 KiB squashfs with the mount points that every
 * container needs. runc makes missing ones, and would make them in the user's
 * overlay. The same bytes each time.
 */
export const makeSkeleton = (path: string): void => {
  const packFile = `${path}.entries`
  writeFileSync(packFile, `${entries.join('\n')}\n`)
  // Loaded here alone: most who load this file make no skeleton.
  const { execFileSync } = process.getBuiltinModule('node:child_process')
  try {
    const options = ['--compressor', 'gzip', '--num-jobs', '1', '--force', '--quiet']
    execFileSync('gensquashfs', ['--pack-file', packFile, ...options, path])
  } finally {
    rmSync(packFile)
  }
}
