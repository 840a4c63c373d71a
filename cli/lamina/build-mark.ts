/**
 * The last line of the program, by which its build is told from all others: V8 takes code that was kept of another
 * program for this one's, if only the sources are of one length.
 */

/** In characters, with its end. Kept code lies behind it, where its words are aligned. */
export const markLength = 64

/** @param digest of the program, in hexadecimal digits */
export const markOf = (digest: string): string =>
  `//${digest}`
    .slice(0, markLength - 1)
    .padEnd(markLength - 1)
    .concat('\n')
