import { copyFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import type { Sources } from './workloads.ts'

const project = join(import.meta.dirname, '../../..')
const git = ['-c', 'user.name=bench', '-c', 'user.email=bench@localhost', '-c', 'gc.auto=0']

/** Makes the workloads' data from the project's own packages, in `dir`. */
export const makeSources = async (dir: string): Promise<Sources> => {
  const tree = join(dir, 'tree')
  const tar = join(dir, 'tree.tar')
  mkdirSync(tree)
  const copy = ['--prune-empty-dirs', '--no-recursion', '--null', '--files-from=-', '--create']
  const { stdout: list } = await execa('find', ['.', '-type', 'f', '-size', '-4M', '-print0'], {
    cwd: join(project, 'node_modules'),
    stripFinalNewline: false,
  })
  await execa('tar', [...copy.slice(1), `--file=${tar}`], { cwd: join(project, 'node_modules'), input: list })
  await execa('tar', ['--extract', '--file', tar, '--directory', tree])
  await execa('git', ['init', '--quiet', tree])
  await execa('git', ['-C', tree, ...git, 'add', '--all', '--force'])
  await execa('git', ['-C', tree, ...git, 'commit', '--quiet', '--message', 'bench'])
  await execa('git', ['-C', tree, ...git, 'gc', '--quiet'])

  const npm = { project: join(dir, 'npm'), cache: join(dir, 'npm-cache') }
  mkdirSync(npm.project)
  for (const file of ['package.json', 'package-lock.json']) copyFileSync(join(project, file), join(npm.project, file))
  const fill = join(dir, 'npm-fill')
  await execa('cp', ['--recursive', npm.project, fill])
  const options = ['--ignore-scripts', '--no-audit', '--no-fund', '--omit=optional', '--prefer-offline']
  await execa('npm', ['ci', ...options, '--cache', npm.cache], { cwd: fill })
  return { tar, repository: tree, npm }
}
