import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { type Tally, tallyOf } from './tally.ts'

/**
 * Runs one project of vitest.config.ts, or of it the files whose path holds one of the filters.
 *
 * @param saysAllAtItsEnd for one that runs beside another
 */
export const runVitest = async (
  project: 'unit' | 'e2e' | 'nodes',
  filters: readonly string[],
  { saysAllAtItsEnd = false } = {},
): Promise<Tally> => {
  const dir = await mkdtemp(join(tmpdir(), 'lamina-tests-'))
  const report = join(dir, 'report.json')
  try {
    const output = saysAllAtItsEnd ? 'pipe' : 'inherit'
    const { exitCode = 1, all } = await execa(
      process.execPath,
      [
        ...['node_modules/vitest/vitest.mjs', 'run', '--project', project],
        ...['--reporter=default', '--reporter=json', `--outputFile.json=${report}`],
        ...filters,
      ],
      { stdin: 'ignore', stdout: output, stderr: output, all: saysAllAtItsEnd, reject: false },
    )
    if (all) process.stdout.write(`${all}\n`)
    const text = await readFile(report, 'utf8').catch(() => undefined)
    return tallyOf(text === undefined ? undefined : JSON.parse(text), exitCode)
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}
