import { existsSync } from 'node:fs'
import { mkdir, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

/**
 * Makes a directory anew beside itself, and puts it into its place when it is whole: when that is cut off or fails,
 * the one from before is still there.
 */
export const replaceDirectory = async (dir: string, make: (fresh: string) => Promise<void>): Promise<void> => {
  const beside = (what: string): string => join(dirname(dir), `.${basename(dir)}.${what}`)
  const [fresh, old] = [beside('new'), beside('old')]
  // What one before left that was cut off; between the two renames, too.
  if (existsSync(old) && !existsSync(dir)) await rename(old, dir)
  for (const each of [fresh, old]) await rm(each, { recursive: true, force: true })
  await mkdir(fresh, { recursive: true })
  await make(fresh)
  if (existsSync(dir)) await rename(dir, old)
  await rename(fresh, dir)
  await rm(old, { recursive: true, force: true })
}
