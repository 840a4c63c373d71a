import { copyFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import type { Sources } from './workloads.ts'

const project = join(import.meta.dirname, '../../..')
const largestFile = '4M'

/** The project's own packages, but for large binaries: some 10,000 files. */
const packTree = async (tar: string): Promise<void> => {
  const cwd = join(project, 'node_modules')
  const find = ['.', '-type', 'f', '-size', `-${largestFile}`, '-print0']
  const { stdout: input } = await execa('find', find, { cwd, stripFinalNewline: false })
  await execa('tar', ['--create', '--file', tar, '--null', '--files-from=-'], { cwd, input })
}

const makeRepository = async (dir: string, tar: string): Promise<void> => {
  mkdirSync(dir)
  await execa('tar', ['--extract', '--file', tar, '--directory', dir])
  const git = (...args: string[]) =>
    execa('git', ['-C', dir, '-c', 'user.name=bench', '-c', 'user.email=bench@localhost', '-c', 'gc.auto=0', ...args])
  await git('init', '--quiet')
  await git('add', '--all', '--force')
  await git('commit', '--quiet', '--message', 'bench')
  await git('gc', '--quiet')
}

export const npmOptions = ['--ignore-scripts', '--no-audit', '--no-fund', '--omit=optional']

/** The project's lock file, and a cache that has all that it names. */
const fillNpmCache = async (dir: string): Promise<Sources['npm']> => {
  const npm = { project: join(dir, 'npm'), cache: join(dir, 'npm-cache') }
  const once = join(dir, 'npm-once')
  for (const at of [npm.project, once]) {
    mkdirSync(at)
    for (const file of ['package.json', 'package-lock.json']) copyFileSync(join(project, file), join(at, file))
  }
  await execa('npm', ['ci', ...npmOptions, '--prefer-offline', '--cache', npm.cache], { cwd: once })
  return npm
}

/** Makes the workloads' data in `dir`. */
export const makeSources = async (dir: string): Promise<Sources> => {
  const tar = join(dir, 'tree.tar')
  const repository = join(dir, 'repository')
  await packTree(tar)
  await makeRepository(repository, tar)
  return { tar, repository, npm: await fillNpmCache(dir) }
}
