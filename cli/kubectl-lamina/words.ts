/** The words before and behind the first `--`: what is behind it is a command for the instance, and never ours. */
export const splitAtDashes = (words: readonly string[]): { own: string[]; command: string[] | undefined } => {
  const dashes = words.indexOf('--')
  return dashes === -1
    ? { own: [...words], command: undefined }
    : { own: words.slice(0, dashes), command: words.slice(dashes + 1) }
}
