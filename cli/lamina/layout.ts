import { lstatSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { hasCode } from '../../runtime-shim/mount/error-code.ts'
import { defaultLayout, lockDir } from '../../runtime-shim/node/layout.ts'
import { Refusal } from '../shared/refusal.ts'

/** Where this command line keeps things. */
export interface Layout {
  /** Gone after a reboot. */
  stateDir: string
  /** Locks around loop devices: those of the node's own, so that readers share devices with its instances. */
  lockDir: string
  /** Images that were made of others, by digest. */
  cacheDir: string
}

/** By the XDG Base Directory Specification: one that is empty or no absolute path says nothing. */
const baseDirectory = (path: string | undefined): string | undefined => (path?.startsWith('/') ? path : undefined)

/** In /tmp, where others can take away nothing of his. */
const userStateDir = ({ XDG_RUNTIME_DIR }: NodeJS.ProcessEnv, uid: number): string => {
  const runtimeDir = baseDirectory(XDG_RUNTIME_DIR)
  return runtimeDir === undefined ? `/tmp/lamina-${uid}` : join(runtimeDir, 'lamina')
}

/** sudo may leave root the home of who called it, who writes there too. */
const cacheHome = ({ XDG_CACHE_HOME, HOME = homedir() }: NodeJS.ProcessEnv, uid: number): string =>
  uid === 0 ? '/var/cache' : (baseDirectory(XDG_CACHE_HOME) ?? join(HOME, '.cache'))

export const layoutOf = (env: NodeJS.ProcessEnv, uid: number): Layout => {
  const stateDir = env.LAMINA_STATE_DIR ?? (uid === 0 ? join(defaultLayout.stateDir, 'local') : userStateDir(env, uid))
  return {
    stateDir,
    lockDir: uid === 0 && env.LAMINA_STATE_DIR === undefined ? lockDir(defaultLayout) : join(stateDir, 'locks'),
    cacheDir: env.LAMINA_CACHEDIR ?? join(cacheHome(env, uid), 'lamina', 'images'),
  }
}

/** The empty directory over which a root is mounted, in a namespace of its own: all use the same. */
export const rootTarget = ({ stateDir }: Layout): string => join(stateDir, 'mounts', 'root')

/** Directory of the records of instances. */
export const instancesDir = ({ stateDir }: Layout): string => join(stateDir, 'instances')

const wayOut = 'set XDG_RUNTIME_DIR to a directory of your own'

/** Another could take the directory away from there, and put one of his own in its place. @throws Refusal */
const assertFirm = (parent: string, uid: number): void => {
  const stats = statSync(parent, { throwIfNoEntry: false })
  const isSticky = (stats?.mode ?? 0) & 0o1000
  if (stats === undefined || ([0, uid].includes(stats.uid) && (isSticky || (stats.mode & 0o022) === 0))) return
  throw new Refusal(`${parent} is another's, or others can write there: ${wayOut}`)
}

/** What others could write there would be believed: a directory is his alone, or is not there. @throws Refusal */
export const assertOwnState = ({ stateDir }: Layout, uid: number): void => {
  try {
    const stats = lstatSync(stateDir, { throwIfNoEntry: false })
    if (stats !== undefined && !(stats.isDirectory() && stats.uid === uid && (stats.mode & 0o022) === 0))
      throw new Refusal(`${stateDir} is no directory that you alone can write: ${wayOut}`)
    assertFirm(dirname(stateDir), uid)
  } catch (error) {
    if (hasCode(error, 'EACCES', 'ENOTDIR')) throw new Refusal(`${stateDir} cannot be reached by you: ${wayOut}`)
    throw error
  }
}
