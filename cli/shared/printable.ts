import { stripVTControlCharacters } from 'node:util'

/** Text of others, whose control characters must not move the cursor or name the window; line ends stay. */
export const printable = (text: string): string =>
  stripVTControlCharacters(text.replaceAll(/\r\n?/g, '\n')).replaceAll(/[^\P{Cc}\n\t]/gu, '')

/** The same in one line. */
export const oneLine = (text: string): string => printable(text).replaceAll(/\s+/g, ' ').trim()
