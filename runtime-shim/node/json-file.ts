import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import type { z } from 'zod/mini'
import { hasCode } from '../mount/error-code.ts'

/** Written beside and renamed: a reader sees all or nothing. */
export const writeJson = (path: string, value: unknown): void => {
  writeFileSync(`${path}.new`, JSON.stringify(value))
  renameSync(`${path}.new`, path)
}

/** Undefined when there is no such file. */
export const readJson = <T extends z.ZodMiniType>(path: string, schema: T): z.output<T> | undefined => {
  try {
    return schema.parse(JSON.parse(readFileSync(path, 'utf8')))
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
}
