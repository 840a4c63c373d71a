import { homedir } from 'node:os'
import { join } from 'node:path'
import { defaultLayout, lockDir } from '../../runtime-shim/node/layout.ts'

/** Where this command line keeps things. */
export interface Layout {
  /** Gone after a reboot. */
  stateDir: string
  /** Locks around loop devices: those of the node's own, so that readers share devices with its instances. */
  lockDir: string
  /** Images that were made of others, by digest. */
  cacheDir: string
}

export const layoutOf = (env: NodeJS.ProcessEnv, uid: number): Layout => {
  const runtimeDir = env.XDG_RUNTIME_DIR ?? `/tmp/lamina-${uid}`
  const stateDir =
    env.LAMINA_STATE_DIR ?? (uid === 0 ? join(defaultLayout.stateDir, 'local') : join(runtimeDir, 'lamina'))
  const cacheHome = env.XDG_CACHE_HOME ?? join(env.HOME ?? homedir(), '.cache')
  return {
    stateDir,
    lockDir: uid === 0 && env.LAMINA_STATE_DIR === undefined ? lockDir(defaultLayout) : join(stateDir, 'locks'),
    cacheDir: env.LAMINA_CACHEDIR ?? join(cacheHome, 'lamina', 'images'),
  }
}

/** The empty directory over which a root is mounted, in a namespace of its own: all use the same. */
export const rootTarget = ({ stateDir }: Layout): string => join(stateDir, 'mounts', 'root')

/** Directory of the records of instances. */
export const instancesDir = ({ stateDir }: Layout): string => join(stateDir, 'instances')
