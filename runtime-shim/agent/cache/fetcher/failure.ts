import { CacheFullError, ConversionError, FileError, NoSpaceError, RegistryError } from '../../../image/errors.ts'
import type { Failure } from './protocol.ts'

/** What an error is to those who act on it; undefined where nobody does. */
export const failureOf = (error: unknown): Failure | undefined => {
  if (error instanceof NoSpaceError) return { type: 'disk full', lack: error.lack }
  if (error instanceof CacheFullError) return { type: 'cache full', lack: error.lack }
  if (error instanceof RegistryError) return { type: 'registry', kind: error.kind, message: error.message }
  if (error instanceof FileError) return { type: 'file', kind: error.kind, message: error.message }
  if (error instanceof ConversionError) return { type: 'conversion', message: error.message }
  if (!(error instanceof Error && 'code' in error && typeof error.code === 'string')) return undefined
  return { type: 'system', code: error.code, message: error.message }
}

/** The error once more, in another process. */
export const errorOf = (failure: Failure): Error => {
  switch (failure.type) {
    case 'disk full':
      return new NoSpaceError(failure.lack)
    case 'cache full':
      return new CacheFullError(failure.lack)
    case 'registry':
      return new RegistryError(failure.kind, failure.message)
    case 'file':
      return new FileError(failure.kind, failure.message)
    case 'conversion':
      return new ConversionError(failure.message)
    case 'system':
      return Object.assign(new Error(failure.message), { code: failure.code })
  }
}
