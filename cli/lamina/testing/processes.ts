import { readdirSync, readFileSync } from 'node:fs'

const textOf = (path: string): string => {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    // It has ended meanwhile.
    return ''
  }
}

/** Processes that have the text in their arguments or their environment: the folder of a bench, for example. */
export const processesWith = (text: string): number[] =>
  readdirSync('/proc').flatMap((entry) =>
    /^\d+$/.test(entry) && ['cmdline', 'environ'].some((kind) => textOf(`/proc/${entry}/${kind}`).includes(text))
      ? [Number(entry)]
      : [],
  )
