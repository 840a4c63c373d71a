import { createHash } from 'node:crypto'

/** 16 hexadecimal digits, the same for what is the same as JSON. */
export const shortHash = (value: unknown): string =>
  createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 16)
