import { closeSync } from 'node:fs'
import { hasCode } from '../mount/error-code.ts'
import { O_PATH, openat2, resolve } from '../mount/syscalls.ts'
import type { OciConfig } from './bundle.ts'

const isBelow = (path: string, directory: string): boolean => path === directory || path.startsWith(`${directory}/`)

const isInRoot = (root: number, path: string): boolean => {
  try {
    closeSync(openat2(root, path, O_PATH, resolve.inRoot | resolve.noMagiclinks))
    return true
  } catch (error) {
    return !hasCode(error, 'ENOENT', 'ENOTDIR')
  }
}

/**
 * Refuses to start a program that the root has not: runc would name it, and not the way out. What lies below another
 * mount, or is looked for by PATH, is left to runc.
 *
 * @param root open, at the root file system
 */
export const assertProgram = (root: number, { process, mounts }: OciConfig, reference: string): void => {
  const [program = ''] = process.args ?? []
  if (!program.startsWith('/') || mounts.some(({ destination }) => isBelow(program, destination))) return
  if (isInRoot(root, program)) return
  throw new Error(
    `image ${reference} has no ${program} to run: set command of the Instance to a program that it has, or entrypoint: Idle and no command to exec into it`,
  )
}
