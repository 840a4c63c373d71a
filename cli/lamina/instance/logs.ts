import { closeSync, openSync, readSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { hasCode } from '../../../runtime-shim/mount/error-code.ts'
import { Refusal } from '../../shared/refusal.ts'
import type { Layout } from '../layout.ts'
import { print } from '../say.ts'
import { assertInstanceName, findInstance, logFile } from './record.ts'

const lookEveryMs = 100
const chunkBytes = 64 * 1024
const newline = 10

export interface Wanted {
  follows: boolean
  /** So many of the last of each of its two outputs; undefined: all. */
  lines: number | undefined
}

const open = (path: string): number | undefined => {
  try {
    return openSync(path, 'r')
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
}

/** Hands on what is there from the offset. @returns the offset behind it */
const read = (fd: number, from: number, take: (bytes: Buffer, at: number) => void): number => {
  const chunk = Buffer.alloc(chunkBytes)
  for (let at = from; ; ) {
    const length = readSync(fd, chunk, 0, chunkBytes, at)
    if (length === 0) return at
    take(chunk.subarray(0, length), at)
    at += length
  }
}

/** Where the last lines begin. */
const startOfLast = (fd: number, lines: number): number => {
  const starts = [0]
  const end = read(fd, 0, (bytes, at) => {
    for (let index = bytes.indexOf(newline); index >= 0; index = bytes.indexOf(newline, index + 1)) {
      starts.push(at + index + 1)
      if (starts.length > lines + 1) starts.shift()
    }
  })
  // What ends with a line end has no line behind it.
  const begun = starts.filter((start) => start < end)
  return lines === 0 ? end : (begun.slice(-lines)[0] ?? end)
}

/** Prints what an instance's process has printed, each of its outputs on our own. @throws Refusal */
export const instanceLogs = async (name: string, { follows, lines }: Wanted, layout: Layout): Promise<void> => {
  assertInstanceName(name)
  const files = (['out', 'err'] as const).flatMap((kind) => open(logFile(layout, name, kind)) ?? [])
  const [out, err] = files
  if (out === undefined || err === undefined)
    throw new Refusal(
      `no instance ${name} has been started here since the machine was: lamina instance list shows those that run`,
    )
  const outputs = [out, err].map((fd, index) => ({
    fd,
    to: index === 0 ? (1 as const) : (2 as const),
    at: lines === undefined ? 0 : startOfLast(fd, lines),
  }))
  for (;;) {
    const runs = follows && findInstance(layout, name) !== undefined
    for (const output of outputs) output.at = read(output.fd, output.at, (bytes) => print(bytes, output.to))
    if (!runs) break
    await sleep(lookEveryMs)
  }
  for (const fd of files) closeSync(fd)
}
