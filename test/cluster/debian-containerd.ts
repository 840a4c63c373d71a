import { access, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import { cacheDir } from './layout.ts'

const unpacked = join(cacheDir, 'containerd-debian')

/** Folder of Debian's containerd and its shims, once {@link ensureDebianContainerd} has been called. */
export const debianContainerd = join(unpacked, 'usr/bin')

const download = ['download', '--quiet', 'containerd'] as const

/** Fetches and unpacks the package; installed, it would run as a service of this machine. */
export const ensureDebianContainerd = async (): Promise<void> => {
  const there = await access(debianContainerd).then(
    () => true,
    () => false,
  )
  if (there) return
  await mkdir(cacheDir, { recursive: true })
  const dir = await mkdtemp(join(cacheDir, 'making-'))
  try {
    const { failed } = await execa('apt-get', [...download], { cwd: dir, reject: false })
    // A machine that had every package has no lists of them.
    if (failed) await execa('apt-get', ['update', '--quiet'])
    if (failed) await execa('apt-get', [...download], { cwd: dir })
    const [archive = ''] = await readdir(dir)
    await execa('dpkg-deb', ['--extract', archive, 'it'], { cwd: dir })
    await rename(join(dir, 'it'), unpacked)
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}
