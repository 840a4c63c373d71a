import { join } from 'node:path'
import { execa } from 'execa'

/** As Argo CD's `health_test.yaml` has it. */
export interface Health {
  status: 'Healthy' | 'Progressing' | 'Degraded' | 'Suspended'
  message: string
}

/** Lua's decimal escapes: bytes, so that UTF-8 comes through as it is. */
const quoted = (text: string): string =>
  `"${[...Buffer.from(text)].map((byte) => `\\${String(byte).padStart(3, '0')}`).join('')}"`

/** A value of JSON as an expression of Lua. */
const luaOf = (value: unknown): string => {
  if (value === null || value === undefined) return 'nil'
  if (typeof value === 'string') return quoted(value)
  if (Array.isArray(value)) return `{${value.map(luaOf).join(',')}}`
  if (typeof value !== 'object') return String(value)
  return `{${Object.entries(value).map(([key, each]) => `[${quoted(key)}]=${luaOf(each)}`)}}`
}

/**
 * Lua 5.1, the language of Argo CD's interpreter: a later one takes what Argo CD refuses.
 *
 * @param script path of a health.lua
 * @returns status and message, as the script gives them
 * @throws when the script fails, or uses what Argo CD does not give it
 */
export const runHealth = async (script: string, object: unknown): Promise<{ status: string; message: string }> => {
  const { stdout } = await execa('lua5.1', [join(import.meta.dirname, 'run-health.lua'), script], {
    input: luaOf(object),
  })
  const [status = '', ...message] = stdout.split('\n')
  return { status, message: message.join('\n') }
}
