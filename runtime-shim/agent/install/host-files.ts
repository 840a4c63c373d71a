import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { hasCode } from '../../mount/error-code.ts'
import { RefusedError } from './refused.ts'

/** Files of the host, by the paths that they have there. */
export interface HostFiles {
  read(path: string): string | undefined
  /**
   * Under another name and renamed: nobody reads half of it. Mode and owner stay; a new file gets `mode`.
   *
   * @param options.stage where that other name is: in the file's own folder, or in the one above
   * @throws RefusedError where the host's file system is read-only
   */
  write(path: string, text: string, options?: { mode?: number; stage?: 'beside' | 'above' }): void
  remove(path: string): void
  /** Files that match a pattern with stars in its last part, in the order of their names. */
  glob(pattern: string): string[]
  /** When its content or name last changed, in ms since 1970; undefined where it is not there. */
  changeTime(path: string): number | undefined
}

const longestChain = 40

/** Follows symlinks as the host does: its absolute ones begin at its root, not at ours. */
const resolveIn = (root: string, path: string): string => {
  let [done, todo, links] = ['/', path.split('/'), 0]
  while (todo.length > 0) {
    const [part = '', ...rest] = todo
    todo = rest
    const next = join(done, part)
    if (part === '' || part === '.' || part === '..') {
      done = next
      continue
    }
    const stat = lstatSync(join(root, next), { throwIfNoEntry: false })
    if (!stat?.isSymbolicLink()) {
      done = next
      continue
    }
    if (++links > longestChain) throw new RefusedError(`${path} on the node: too many symbolic links`)
    const target = readlinkSync(join(root, next))
    if (target.startsWith('/')) done = '/'
    todo = [...target.split('/'), ...rest]
  }
  return join(root, done)
}

const wordOf = (pattern: string): RegExp =>
  new RegExp(`^${pattern.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('*', '[^/]*')}$`)

/** @param root where the host's root directory shows, for example `/proc/1/root` */
export const hostFiles = (root: string): HostFiles => {
  const find = (path: string): string => resolveIn(root, path)

  const write: HostFiles['write'] = (path, text, { mode = 0o644, stage = 'beside' } = {}) => {
    const real = find(path)
    try {
      mkdirSync(dirname(real), { recursive: true })
      const before = statSync(real, { throwIfNoEntry: false })
      const staging = join(dirname(real), stage === 'above' ? '..' : '.', `${basename(real)}.lamina-new`)
      rmSync(staging, { force: true })
      writeFileSync(staging, text, { mode: 0o600, flush: true })
      if (before) chownSync(staging, before.uid, before.gid)
      chmodSync(staging, before ? before.mode & 0o7777 : mode)
      renameSync(staging, real)
    } catch (error) {
      if (hasCode(error, 'EROFS', 'EPERM', 'EACCES', 'EXDEV'))
        throw new RefusedError(`${path} on the node cannot be written: ${String(error)}`, { cause: error })
      throw error
    }
  }

  return {
    write,
    read: (path) => {
      try {
        return readFileSync(find(path), 'utf8')
      } catch (error) {
        if (hasCode(error, 'ENOENT', 'ENOTDIR')) return undefined
        throw error
      }
    },
    remove: (path) => rmSync(find(path), { force: true }),
    glob: (pattern) => {
      const dir = find(dirname(pattern))
      const name = wordOf(basename(pattern))
      const names = existsSync(dir) ? readdirSync(dir).toSorted() : []
      return names
        .filter((each) => name.test(each) && !each.startsWith('.'))
        .map((each) => join(dirname(pattern), each))
    },
    changeTime: (path) => statSync(find(path), { throwIfNoEntry: false })?.ctimeMs,
  }
}
