/**
 * Writes records until it can't, and notes each one outside once fsync(2) has acknowledged it.
 *
 * usage: node power-cut-writer.ts DIRECTORY ACKNOWLEDGED
 */
import { appendFileSync, closeSync, fsyncSync, openSync, renameSync, writeSync } from 'node:fs'
import { join } from 'node:path'

export const recordBytes = 4096

/** Of one number everywhere: zeros, or what lay there before, are told from it. */
export const record = (number: number): Buffer => Buffer.alloc(recordBytes, `${number}\n`)

/** Some records also get a file of their own. */
export const hasFile = (number: number): boolean => number % 20 === 0

const syncDirectory = (directory: string): void => {
  const fd = openSync(directory, 'r')
  fsyncSync(fd)
  closeSync(fd)
}

/** As programs replace a file safely: written beside it, synced, renamed, the directory synced. */
const replace = (directory: string, name: string, content: Buffer): void => {
  const fd = openSync(join(directory, `${name}.new`), 'w')
  writeSync(fd, content)
  fsyncSync(fd)
  closeSync(fd)
  renameSync(join(directory, `${name}.new`), join(directory, name))
  syncDirectory(directory)
}

const write = (directory: string, acknowledged: string): never => {
  const log = openSync(join(directory, 'log'), 'w')
  syncDirectory(directory)
  for (let number = 0; ; number++) {
    if (hasFile(number)) replace(directory, `file-${number}`, record(number))
    writeSync(log, record(number))
    fsyncSync(log)
    appendFileSync(acknowledged, `${number}\n`)
  }
}

if (import.meta.main) write(process.argv[2] ?? '', process.argv[3] ?? '')
