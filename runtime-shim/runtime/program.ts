import { closeSync } from 'node:fs'
import { join } from 'node:path'
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

/** Where runc will look for it; nothing where that depends on more than the configuration. */
const placesOf = (program: string, env: readonly string[]): string[] => {
  if (program.startsWith('/')) return [program]
  const path = env.findLast((each) => each.startsWith('PATH='))?.slice('PATH='.length) ?? ''
  const folders = path.split(':')
  const isKnown = !program.includes('/') && folders.every((folder) => folder.startsWith('/'))
  return isKnown ? folders.map((folder) => join(folder, program)) : []
}

const remedy =
  'set command of the Instance to a program that it has, or entrypoint: Idle and no command to exec into it'

/**
 * Refuses to start a program that the root has not: runc would name it, and not the way out. What may lie on another
 * mount is left to runc.
 *
 * @param root open, at the root file system
 */
export const assertProgram = (
  root: number,
  { process: { args = [], env = [] }, mounts }: OciConfig,
  reference: string,
): void => {
  const [program = ''] = args
  if (program === '') throw new Error(`image ${reference} names no program to run: ${remedy}`)
  const places = placesOf(program, env)
  const isMounted = places.some((place) => mounts.some(({ destination }) => isBelow(place, destination)))
  if (places.length === 0 || isMounted || places.some((place) => isInRoot(root, place))) return
  const where = places.length > 1 ? ' in its PATH' : ''
  throw new Error(`image ${reference} has no ${program}${where} to run: ${remedy}`)
}
