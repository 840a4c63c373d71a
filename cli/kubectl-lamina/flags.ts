import { InvalidArgumentError } from 'commander'
import { isLabel } from '../../kube/names.ts'

/** Values of flags, read and checked before anything is asked of a cluster. */

/** @param longest in characters; Kubernetes allows 63, overlays have 54 */
export const objectName =
  (longest = 63) =>
  (text: string): string => {
    if (isLabel(text) && text.length <= longest) return text
    throw new InvalidArgumentError(
      `A name has at most ${longest} lower-case letters, digits and "-", and a letter or digit at both ends.`,
    )
  }

export interface OverlayFlag {
  name: string
  access: 'ReadWrite' | 'ReadOnly'
}

const accessWords = { '': 'ReadWrite', rw: 'ReadWrite', ro: 'ReadOnly' } as const

const isAccess = (word: string): word is keyof typeof accessWords => Object.hasOwn(accessWords, word)

/** `NAME`, `NAME:rw` or `NAME:ro`, as of Singularity. */
export const overlayFlag = (text: string, before: OverlayFlag[] = []): OverlayFlag[] => {
  const [name = '', access = '', ...more] = text.split(':')
  if (more.length > 0 || !isAccess(access)) throw new InvalidArgumentError('Give NAME, NAME:rw or NAME:ro.')
  const flag: OverlayFlag = { name: objectName(54)(name), access: accessWords[access] }
  if (before.some((other) => other.name === name)) throw new InvalidArgumentError(`Overlay ${name} is given twice.`)
  if (flag.access === 'ReadWrite' && before.some((other) => other.access === 'ReadWrite'))
    throw new InvalidArgumentError('Only one overlay can be written: give :ro to the others.')
  if (before.length === 8) throw new InvalidArgumentError('An instance takes at most 8 overlays.')
  return [...before, flag]
}

const quantity = /^([0-9]+(?:\.[0-9]+)?)(Ki|Mi|Gi|Ti|Pi|Ei|k|M|G|T|P|E)$/

/** A Kubernetes quantity of bytes. A bare number is none here: to Kubernetes it means bytes, to Singularity MiB. */
export const sizeFlag = (text: string): string => {
  if (quantity.test(text)) return text
  throw new InvalidArgumentError('A size is a number and a unit: 512Mi, 10Gi.')
}

export const envFlag = (text: string, before: { name: string; value: string }[] = []) => {
  const equals = text.indexOf('=')
  if (equals < 1) throw new InvalidArgumentError('Give NAME=VALUE.')
  return [...before, { name: text.slice(0, equals), value: text.slice(equals + 1) }]
}

export const labelFlag = (text: string, before: Record<string, string> = {}): Record<string, string> => {
  const [key = '', value, ...more] = text.split('=')
  if (key === '' || value === undefined || more.length > 0) throw new InvalidArgumentError('Give LABEL=VALUE.')
  return { ...before, [key]: value }
}

export const listFlag = (text: string, before: string[] = []): string[] => [...before, text]

const seconds = { s: 1, m: 60, h: 3600, d: 86_400 } as const

const isUnit = (word: string): word is keyof typeof seconds => Object.hasOwn(seconds, word)

/** Seconds of `90s`, `5m`, `1h`, `2d`. */
export const durationFlag = (text: string): number => {
  const [, count, unit = ''] = /^([0-9]+)([smhd])$/.exec(text) ?? []
  if (count === undefined || !isUnit(unit)) throw new InvalidArgumentError('Give a number and a unit: 90s, 5m, 1h, 2d.')
  return Number(count) * seconds[unit]
}

export const countFlag = (text: string): number => {
  if (/^[0-9]+$/.test(text)) return Number(text)
  throw new InvalidArgumentError('Give a whole number.')
}

export const workdirFlag = (text: string): string => {
  if (text.startsWith('/')) return text
  throw new InvalidArgumentError('Give a path from the root: /home/me.')
}
