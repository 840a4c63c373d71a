import { fchownSync, fstatSync } from 'node:fs'
import { spawnUnprivileged, thirdDescriptor, unprivileged } from '../../image/unprivileged.ts'

/** A file-system tool ended with a failure; `output` is what it said. */
export class ToolError extends Error {
  override name = 'ToolError'
  readonly exitCode: number
  readonly output: string
  constructor(tool: string, exitCode: number, output: string) {
    super(`${tool} ended with exit code ${exitCode}: ${output.trim().split('\n').slice(-3).join('; ')}`)
    this.exitCode = exitCode
    this.output = output
  }
}

const run = (fd: number, tool: string, args: readonly string[], onLine: (line: string) => void): Promise<number> =>
  new Promise((resolve, reject) => {
    const child = spawnUnprivileged(tool, args, ['ignore', 'pipe', 'pipe', fd])
    for (const stream of [child.stdout, child.stderr]) {
      let rest = ''
      stream?.setEncoding('utf8').on('data', (text: string) => {
        const lines = (rest + text).split(/[\n\r\b]+/)
        rest = lines.pop() ?? ''
        for (const line of lines) if (line.trim() !== '') onLine(line.trim())
      })
      stream?.once('end', () => {
        if (rest.trim() !== '') onLine(rest.trim())
      })
    }
    child.once('error', reject)
    child.once('close', (code) => resolve(code ?? 255))
  })

/**
 * Runs mkfs.ext3, e2fsck or resize2fs on the open image, as nobody and without
 * capabilities: a crafted image may own the tool, but not the node. The
 * file is nobody's for the while, so that the tool may open it.
 *
 * @param accepted exit codes that are no failure (e2fsck(8): 1 is "errors corrected")
 * @throws ToolError
 */
export const runOnImage = async (
  fd: number,
  tool: 'mkfs.ext3' | 'e2fsck' | 'resize2fs',
  options: readonly string[],
  { accepted = [0], onLine = () => {} }: { accepted?: readonly number[]; onLine?: (line: string) => void } = {},
): Promise<void> => {
  const lines: string[] = []
  const collect = (line: string) => {
    lines.push(line)
    onLine(line)
  }
  const { uid, gid } = fstatSync(fd)
  fchownSync(fd, unprivileged.uid, unprivileged.gid)
  try {
    const code = await run(fd, tool, [...options, thirdDescriptor], collect)
    if (!accepted.includes(code)) throw new ToolError(tool, code, lines.join('\n'))
  } finally {
    // Nobody's only if an earlier run was cut off.
    fchownSync(fd, uid === unprivileged.uid ? 0 : uid, gid === unprivileged.gid ? 0 : gid)
  }
}
