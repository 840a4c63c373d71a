import { copyFile, mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { execa } from 'execa'

const packages = (arch: string): string[] => [`node-linux-${arch}`, `@koromix/koffi-linux-${arch}`]

/**
 * Fetches what is native of the packages, for another architecture than this
 * machine's, in the versions of the lockfile. npm installs one architecture at a
 * time: so it does that in a folder of its own, which then gives them away.
 *
 * @param arch as `process.arch` has it
 * @param modules the node_modules to put them into
 */
export const fetchForeignPackages = async (root: string, arch: string, modules: string): Promise<void> => {
  await mkdir(modules, { recursive: true })
  const dir = await mkdtemp(join(modules, '.foreign-'))
  try {
    for (const name of ['package.json', 'package-lock.json']) await copyFile(join(root, name), join(dir, name))
    const platform = ['--os=linux', `--cpu=${arch}`, '--libc=glibc']
    await execa('npm', ['ci', '--omit=dev', '--ignore-scripts', '--no-audit', '--no-fund', ...platform], { cwd: dir })
    for (const name of packages(arch)) {
      await mkdir(dirname(join(modules, name)), { recursive: true })
      await rm(join(modules, name), { recursive: true, force: true })
      await rename(join(dir, 'node_modules', name), join(modules, name))
    }
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}
