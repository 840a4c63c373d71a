import { statSync } from 'node:fs'
import { userInfo } from 'node:os'
import { isFirm } from '../firm.ts'

const isDirectory = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true

/**
 * The environment of tools that read settings in the caller's home: where registries are, and what may be had of them.
 * sudo may leave root the home of who called it, who would have chosen that for him.
 */
export const toolEnvironment = (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv => {
  const { HOME, XDG_CONFIG_HOME: _, ...rest } = env
  const isOthers = process.getuid?.() === 0 && HOME !== undefined && isDirectory(HOME) && !isFirm(HOME, 0)
  return isOthers ? { ...rest, HOME: userInfo().homedir } : env
}
