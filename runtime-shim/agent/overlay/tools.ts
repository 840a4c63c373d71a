import { spawn } from 'node:child_process'
import { fchownSync, fstatSync } from 'node:fs'

/** Nobody: what reads a user's file system image has no more rights than that. */
const unprivileged = { uid: 65534, gid: 65534 } as const

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

/** Where the tool finds the image: descriptor 3 of the child. */
const imagePath = '/proc/self/fd/3'

const run = (fd: number, tool: string, args: readonly string[], onLine: (line: string) => void): Promise<number> =>
  new Promise((resolve, reject) => {
    const drop = ['--no-new-privs', '--clear-groups', '--inh-caps=-all', '--bounding-set=-all']
    const ids = [`--reuid=${unprivileged.uid}`, `--regid=${unprivileged.gid}`]
    const child = spawn('setpriv', [...drop, ...ids, '--', tool, ...args], {
      stdio: ['ignore', 'pipe', 'pipe', fd],
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' },
    })
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
 * capabilities: a crafted image may own the tool, but not the node. Opening
 * /proc/self/fd/3 asks for rights on the file, so it is nobody's for the while.
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
    const code = await run(fd, tool, [...options, imagePath], collect)
    if (!accepted.includes(code)) throw new ToolError(tool, code, lines.join('\n'))
  } finally {
    // Nobody's only if an earlier run was cut off.
    fchownSync(fd, uid === unprivileged.uid ? 0 : uid, gid === unprivileged.gid ? 0 : gid)
  }
}
