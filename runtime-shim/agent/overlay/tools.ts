import { fchmodSync, fchownSync, fstatSync, type Stats } from 'node:fs'
import type { Readable } from 'node:stream'
import {
  giveBackTo,
  giveToTools,
  isRoot,
  spawnUnprivileged,
  thirdDescriptor,
  unprivileged,
} from '../../image/unprivileged.ts'
import type { LockedFile } from './preparation.ts'

type Tool = 'mkfs.ext3' | 'e2fsck' | 'resize2fs' | 'blkid'

/** A file-system tool ended with a failure; `output` is what it said. */
export class ToolError extends Error {
  override name = 'ToolError'
  readonly tool: Tool
  /** 255 when a signal ended it. */
  readonly exitCode: number
  readonly output: readonly string[]
  constructor(tool: Tool, exitCode: number, output: readonly string[]) {
    super(`${tool} ended with exit code ${exitCode}: ${output.slice(-3).join('; ')}`)
    this.tool = tool
    this.exitCode = exitCode
    this.output = output
  }
}

interface ToolRun {
  tool: Tool
  options: readonly string[]
  /** Where in the file the file system begins, for e2fsck. */
  offset?: number
  /** How many blocks the file system is to have, for mkfs.ext3 and resize2fs. */
  blocks?: number
  /** Exit codes that are no failure. */
  accepted?: readonly number[]
  onLine?(line: string): void
}

const longestLine = 4096

/** Progress that overwrites itself counts as lines. */
const tellLines = (stream: Readable, onLine: (line: string) => void): void => {
  let rest = ''
  const tell = (line: string): void => {
    if (line.trim() !== '') onLine(line.trim().slice(0, longestLine))
  }
  stream.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split(/[\n\r\b]+/)
    rest = (lines.pop() ?? '').slice(0, longestLine)
    for (const line of lines) tell(line)
  })
  stream.once('end', () => tell(rest))
}

/** Of what a tool says, so many lines from its beginning and from its end are kept. */
const keptLines = 100

interface Output {
  lines: string[]
  add(line: string): void
}

/** A crafted image can make a tool talk without end: in the agent's memory and in the node's tmpfs it gets little room. */
const collectOutput = (onLine: ((line: string) => void) | undefined): Output => {
  const lines: string[] = []
  let count = 0
  return {
    lines,
    add: (line) => {
      count += 1
      lines.push(line)
      if (lines.length > 2 * keptLines) lines.splice(keptLines, 1)
      if (count <= 2 * keptLines) onLine?.(line)
      if (count === 2 * keptLines) onLine?.('(what it says from here on is left out)')
    },
  }
}

const standardError = 2

/**
 * For a child, from 3 on. Our own standard error is among them: whoever has us
 * prepare an overlay ({@link ./apart.ts}) sees by its end that the child has ended, too.
 */
export const descriptorsOf = ({ fd, lock }: LockedFile): number[] => [
  fd,
  ...(lock === undefined ? [] : [lock]),
  standardError,
]

/** The tools call the file by its descriptor, which tells nobody anything. */
const ownName = new RegExp(`${thirdDescriptor}(\\?offset=\\d+)?: `, 'g')

const run = (file: LockedFile, tool: Tool, args: readonly string[], onLine: (line: string) => void): Promise<number> =>
  new Promise((resolve, reject) => {
    const child = spawnUnprivileged(tool, args, ['ignore', 'pipe', 'pipe', ...descriptorsOf(file)])
    for (const stream of [child.stdout, child.stderr])
      if (stream) tellLines(stream, (line) => onLine(line.replaceAll(ownName, '')))
    child.once('error', reject)
    child.once('close', (code) => resolve(code ?? 255))
  })

const permissions = 0o7777
const ownersReadWrite = 0o600
const ownersWrite = 0o200
/** The sticky bit, which means nothing on a file: its owner could not write it before, and shall not afterwards. */
const lentMark = 0o1000

/** Takes from nobody what an earlier run has left him that was cut off. */
export const giveBack = (fd: number): void => {
  const { uid, gid, mode } = fstatSync(fd)
  if (uid !== unprivileged.uid && gid !== unprivileged.gid) return
  if ((mode & lentMark) !== 0) fchmodSync(fd, mode & permissions & ~(lentMark | ownersWrite))
  fchownSync(fd, uid === unprivileged.uid ? 0 : uid, gid === unprivileged.gid ? 0 : gid)
}

/** A file that its owner may not write, root may: so may the tools, which are its owner for the while. */
const lacksRights = ({ mode }: Stats): boolean => isRoot && (mode & ownersReadWrite) !== ownersReadWrite

const lend = (fd: number, before: Stats): void => {
  giveToTools(fd)
  if (lacksRights(before)) fchmodSync(fd, (before.mode & permissions) | ownersReadWrite | lentMark)
}

const takeBack = (fd: number, before: Stats): void => {
  if (lacksRights(before)) fchmodSync(fd, before.mode & permissions)
  giveBackTo(fd, before)
}

/**
 * Runs a tool on the open file or device, as nobody and without capabilities: a
 * crafted image may own the tool, but not the node. The file is nobody's for the
 * while, and writable by him, so that the tool may open it.
 *
 * @throws ToolError
 */
export const runTool = async (file: LockedFile, toolRun: ToolRun): Promise<{ exitCode: number; output: string[] }> => {
  const { fd } = file
  const { tool, options, offset = 0, blocks, accepted = [0], onLine } = toolRun
  const output = collectOutput(onLine)
  const name = offset === 0 ? thirdDescriptor : `${thirdDescriptor}?offset=${offset}`
  const size = blocks === undefined ? [] : [String(blocks)]
  giveBack(fd)
  const before = fstatSync(fd)
  try {
    lend(fd, before)
    const exitCode = await run(file, tool, [...options, name, ...size], output.add)
    if (!accepted.includes(exitCode)) throw new ToolError(tool, exitCode, output.lines)
    return { exitCode, output: output.lines }
  } finally {
    takeBack(fd, before)
  }
}
