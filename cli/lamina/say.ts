import { writeSync } from 'node:fs'

/**
 * Messages as Apptainer prints them. Only `writeSync`: a stream would leave
 * O_NONBLOCK on what the container inherits.
 */

const told = (kind: string, text: string): void => {
  writeSync(2, `${`${kind}:`.padEnd(8)} ${text}\n`)
}

export const inform = (text: string): void => told('INFO', text)
export const warn = (text: string): void => told('WARNING', text)
export const fatal = (text: string): void => told('FATAL', text)
