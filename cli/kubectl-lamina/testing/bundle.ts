import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { execa } from 'execa'
import { packagePlugin } from '../packaging/package.ts'

const root = join(import.meta.dirname, '../../..')

export interface Outcome {
  exitCode: number
  stdout: string
  stderr: string
}

/** The program as it is shipped, in a folder of its own. */
export interface Bundle {
  dir: string
  /** Path of the program. */
  program: string
  /** With which it finds the Node that we run on. */
  path: string
  run(words: readonly string[], env?: Record<string, string>): Promise<Outcome>
  remove(): Promise<void>
}

export const bundled = async (): Promise<Bundle> => {
  const dir = await mkdtemp(join(tmpdir(), 'kubectl-lamina-'))
  await packagePlugin(root, join(dir, 'package'))
  const program = join(dir, 'package', 'kubectl-lamina')
  const path = [dirname(process.execPath), process.env.PATH].join(delimiter)
  return {
    dir,
    program,
    path,
    run: async (words, env = {}) => {
      const options = { cwd: dir, env: { PATH: path, ...env } }
      const result = await execa(program, words, { ...options, stdin: 'ignore', reject: false, timeout: 20_000 })
      return { exitCode: result.exitCode ?? 255, stdout: result.stdout, stderr: result.stderr }
    },
    remove: () => rm(dir, { recursive: true, force: true }),
  }
}
