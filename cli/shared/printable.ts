import { stripVTControlCharacters } from 'node:util'

/**
 * Text of others, whose control characters must not move the cursor or name the
 * window, nor those of the writing direction put words in another order; line ends stay.
 */
export const printable = (text: string): string =>
  stripVTControlCharacters(text.replaceAll(/\r\n?/g, '\n')).replaceAll(
    /[^\P{Cc}\n\t]|[\u202A-\u202E\u2066-\u2069]/gu,
    '',
  )

/** The same in one line. */
export const oneLine = (text: string): string => printable(text).replaceAll(/\s+/g, ' ').trim()

const mostCharacters = 1_000

/** A message with something in it that was given, however long that is: its beginning and its end. */
export const shortened = (text: string): string =>
  text.length <= mostCharacters ? text : `${text.slice(0, mostCharacters / 2)}…${text.slice(-mostCharacters / 2)}`
