import { constants, readFileSync } from 'node:fs'
import { access, copyFile, mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { hasCode } from '../../mount/error-code.ts'
import { installedPaths, type NodeLayout } from '../../node/layout.ts'

/** A program or library that the node needs, and where it is to lie there. */
export interface InstalledFile {
  /** A file in the operator's image, or the bytes themselves. */
  from: string | Buffer
  to: string
  executable: boolean
}

/** Libraries that the running Node is linked with, the dynamic loader among them, by the paths that the loader found them at. */
const sharedLibraries = (): string[] => {
  if (!process.report) throw new Error('this Node has no process.report')
  // The types lack it; without it the report asks DNS for the names of all peers.
  Object.assign(process.report, { excludeNetwork: true })
  const report: unknown = process.report.getReport()
  const shared = report !== null && typeof report === 'object' && 'sharedObjects' in report ? report.sharedObjects : []
  const paths = Array.isArray(shared) ? shared.filter((path) => typeof path === 'string') : []
  return paths.filter((path) => path.startsWith('/') && !path.endsWith('.node'))
}

/** What the installer lays down beside the runtime's own files. */
export const installerPaths = ({ installDir }: Pick<NodeLayout, 'installDir'>) => ({
  loader: join(installDir, 'lib', 'ld.so'),
  /** A static shell for the launcher, and the one tool that it needs. */
  shell: join(installDir, 'bin', 'sh'),
  grep: join(installDir, 'bin', 'grep'),
  /** Its first line names the OCI runtime to become. */
  underlying: join(installDir, 'etc', 'runtime'),
})

/** The launcher, run by the shell that comes with it: not every host has one. */
const launcherFor = (script: string, shell: string): Buffer =>
  Buffer.from(readFileSync(script, 'utf8').replace(/^#!.*/, `#!${shell}`))

const isLoader = (path: string): boolean => basename(path).startsWith('ld-')

/**
 * All that the runtime is made of. Node comes with its libraries and loader, the
 * launcher with its shell: a node's own may be older than they want, or missing.
 *
 * @param appDir the folder of the bundles, in the operator's image
 * @param underlying the OCI runtime to become
 * @param init the static pause init
 * @param busybox static too
 */
export const runtimeFiles = (
  layout: Pick<NodeLayout, 'installDir'>,
  {
    appDir,
    underlying,
    init = '/usr/bin/catatonit',
    busybox = '/bin/busybox',
  }: { appDir: string; underlying: string; init?: string; busybox?: string },
): InstalledFile[] => {
  const paths = installedPaths(layout)
  const own = installerPaths(layout)
  const lib = (from: string, name: string, executable = false) => ({ from, to: join(paths.lib, name), executable })
  return [
    ...sharedLibraries().map((path) => lib(path, isLoader(path) ? 'ld.so' : basename(path), isLoader(path))),
    { from: process.execPath, to: paths.node, executable: true },
    lib(join(appDir, 'koffi.node'), 'koffi.node'),
    lib(join(appDir, 'skeleton.squashfs'), 'skeleton.squashfs'),
    { from: init, to: paths.init, executable: true },
    lib(join(appDir, 'lamina-runtime.cjs'), 'lamina-runtime.cjs'),
    { from: busybox, to: own.shell, executable: true },
    { from: busybox, to: own.grep, executable: true },
    { from: Buffer.from(`${underlying}\n`), to: own.underlying, executable: false },
    // The launcher comes last: it needs all the others.
    { from: launcherFor(join(appDir, 'lamina-runtime'), own.shell), to: paths.launcher, executable: true },
  ]
}

const chunk = 2 ** 20

/** Compares byte by byte: times and sizes of files in images say little. */
const sameBytes = async (one: string, other: string): Promise<boolean> => {
  const [a, b] = await Promise.all([open(one), open(other)])
  try {
    const [{ size }, { size: otherSize }] = await Promise.all([a.stat(), b.stat()])
    if (size !== otherSize) return false
    const [left, right] = [Buffer.alloc(chunk), Buffer.alloc(chunk)]
    for (let position = 0; position < size; position += chunk) {
      const [first, second] = await Promise.all([a.read(left, 0, chunk, position), b.read(right, 0, chunk, position)])
      if (first.bytesRead === 0 || first.bytesRead !== second.bytesRead) return false
      if (!left.subarray(0, first.bytesRead).equals(right.subarray(0, first.bytesRead))) return false
    }
    return true
  } finally {
    await Promise.all([a.close(), b.close()])
  }
}

const isInstalled = async ({ from, to, executable }: InstalledFile): Promise<boolean> => {
  try {
    await access(to, executable ? constants.X_OK : constants.R_OK)
    return typeof from === 'string' ? await sameBytes(from, to) : from.equals(await readFile(to))
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'EACCES')) return false
    throw error
  }
}

/** Written beside, synced and renamed: a program that runs stays as it is, and a power cut leaves no half of one. */
const replace = async ({ from, to, executable }: InstalledFile): Promise<void> => {
  const staging = `${to}.new`
  await mkdir(dirname(to), { recursive: true })
  await rm(staging, { force: true })
  if (typeof from === 'string') await copyFile(from, staging, constants.COPYFILE_FICLONE)
  else await writeFile(staging, from)
  const file = await open(staging, 'r+')
  try {
    await file.chmod(executable ? 0o755 : 0o644)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(staging, to)
}

/**
 * Lays the files down in order; those that are there with the same bytes are not touched.
 *
 * @returns what was replaced
 */
export const installFiles = async (files: readonly InstalledFile[]): Promise<string[]> => {
  const replaced: string[] = []
  for (const file of files) {
    if (await isInstalled(file)) continue
    await replace(file)
    replaced.push(file.to)
  }
  return replaced
}
