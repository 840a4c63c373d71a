import { readdirSync } from 'node:fs'
import { hasCode } from '../mount/error-code.ts'

/** Names in a directory; none where it is not there, or goes meanwhile. */
export const namesIn = (dir: string): string[] => {
  try {
    return readdirSync(dir)
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return []
    throw error
  }
}
