import { constants } from 'node:os'
import { Refusal } from '../shared/refusal.ts'

/** The arguments of Singularity's options, as text that somebody typed. */

export interface OverlayArgument {
  path: string
  /** `undefined`: as its kind and its file allow. */
  access: 'ReadWrite' | 'ReadOnly' | undefined
}

/** `PATH[:ro|:rw]` of `--overlay`. @throws Refusal */
export const parseOverlay = (text: string): OverlayArgument => {
  const [, path = '', mode] = /^(.*?)(?::(ro|rw))?$/s.exec(text) ?? []
  if (path === '')
    throw new Refusal(`--overlay "${text}" names no file: write --overlay my-overlay.img or my-overlay.img:ro`)
  return { path, access: mode === 'ro' ? 'ReadOnly' : mode === 'rw' ? 'ReadWrite' : undefined }
}

/** At most one can be written. @throws Refusal */
export const assertOneWriter = (overlays: readonly OverlayArgument[]): void => {
  const writers = overlays.filter(({ access }) => access === 'ReadWrite')
  if (writers.length <= 1) return
  const [first, second] = writers.map(({ path }) => path)
  throw new Refusal(
    `you can't specify more than one writable overlay: give all of ${first} and ${second} but one with :ro`,
  )
}

export interface BindArgument {
  source: string
  destination: string
  readOnly: boolean
}

const bindOptions = new Map([
  ['ro', true],
  ['rw', false],
])

const parseOneBind = (text: string): BindArgument => {
  const [source = '', destination = source, options = 'rw', ...rest] = text.split(':')
  const readOnly = bindOptions.get(options)
  if (source === '' || rest.length > 0 || readOnly === undefined)
    throw new Refusal(`--bind "${text}" is not SOURCE[:DESTINATION[:ro|:rw]]`)
  if (!destination.startsWith('/'))
    throw new Refusal(`--bind "${text}": the destination "${destination}" must be an absolute path in the container`)
  return { source, destination, readOnly }
}

/** `SOURCE[:DESTINATION[:ro|:rw]]`, several with commas between, of `--bind`. @throws Refusal */
export const parseBinds = (text: string): BindArgument[] => text.split(',').map(parseOneBind)

/** `NAME=VALUE`, of `--env`. @throws Refusal */
export const parseVariable = (text: string): [string, string] => {
  const [, name, value] = /^([A-Za-z_][A-Za-z0-9_]*)=(.*)$/s.exec(text) ?? []
  if (name === undefined || value === undefined) throw new Refusal(`--env "${text}" is not NAME=VALUE`)
  return [name, value]
}

const unquoted = (text: string): string => /^(["'])(.*)\1$/s.exec(text)?.[2] ?? text

/** Lines of `NAME=VALUE`; empty ones and those that begin with `#` say nothing. @throws Refusal */
export const parseVariables = (text: string, file: string): [string, string][] =>
  text.split('\n').flatMap((line, index): [string, string][] => {
    const [, name, value] = /^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)$/.exec(line) ?? []
    if (name !== undefined && value !== undefined) return [[name, unquoted(value.trim())]]
    if (line.trim() === '' || line.trim().startsWith('#')) return []
    throw new Refusal(`${file}, line ${index + 1}: "${line.trim()}" is not NAME=VALUE`)
  })

const noMounts = ['dev', 'proc', 'sys', 'home', 'cwd', 'tmp', 'etc'] as const
export type UsualMount = (typeof noMounts)[number]

const isUsualMount = (word: string): word is UsualMount => noMounts.some((each) => each === word)

/** Words with commas between, of `--no-mount`. @throws Refusal */
export const parseNoMount = (text: string): UsualMount[] =>
  text.split(',').map((word) => {
    if (isUsualMount(word)) return word
    throw new Refusal(`--no-mount "${word}": possible are ${noMounts.join(', ')}`)
  })

const units = new Map([
  ['', 2 ** 20],
  ['M', 2 ** 20],
  ['G', 2 ** 30],
  ['T', 2 ** 40],
])

/** The smallest in which mkfs.ext3 makes a journal of a usual size. MiB. */
const leastSize = 64
/** What ext3 can hold with blocks of 4 KiB. MiB. */
const largestSize = 16 * 2 ** 20

/** MiB as a number, or with a unit: `64`, `768M`, `10G`; in bytes. @throws Refusal */
const sizeOf = (what: string, text: string, least: number): number => {
  const [, number, unit = ''] = /^(\d{1,8})\s*([MGT]?)(?:i?B)?$/i.exec(text) ?? []
  const factor = units.get(unit.toUpperCase())
  if (number === undefined || factor === undefined)
    throw new Refusal(`${what} "${text}" is not a size: write MiB as a number, or 768M, 10G`)
  const bytes = Number(number) * factor
  if (bytes < least * 2 ** 20)
    throw new Refusal(`${what} "${text}": image size must be equal or greater than ${least} MiB`)
  if (bytes > largestSize * 2 ** 20)
    throw new Refusal(`${what} "${text}": image size must be at most 16 TiB, which is as large as ext3 can be`)
  return bytes
}

export const parseSize = (text: string): number => sizeOf('--size', text, leastSize)

/** The same, of the argument `<size>`. One that is less than it has is told so, with what that is. */
export const parseNewSize = (text: string): number => sizeOf('<size>', text, 0)

/** How many, of `--tail`. @throws Refusal */
export const parseCount = (text: string): number => {
  if (/^\d{1,9}$/.test(text)) return Number(text)
  throw new Refusal(`--tail "${text}" is no number of lines: write 10, for example`)
}

const signalsByName = new Map(Object.entries(constants.signals))

/** `15`, `TERM` or `SIGTERM`. @throws Refusal */
export const parseSignal = (text: string): number => {
  const name = text.toUpperCase()
  const signal = /^\d{1,2}$/.test(text) ? Number(text) : (signalsByName.get(name) ?? signalsByName.get(`SIG${name}`))
  if (signal !== undefined && signal > 0 && signal <= 64) return signal
  throw new Refusal(`--signal "${text}" is no signal: write TERM, SIGTERM or 15`)
}

/** Seconds. @throws Refusal */
export const parseTimeout = (text: string): number => {
  if (/^\d{1,6}$/.test(text)) return Number(text)
  throw new Refusal(`--timeout "${text}" is no number of seconds: write 10, for example`)
}
