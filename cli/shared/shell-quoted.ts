/** A word for a shell (POSIX), which then makes nothing of what is in it. */
export const shellQuoted = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`
