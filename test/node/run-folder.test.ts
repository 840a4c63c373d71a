import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'

test('a file whose tests are all skipped leaves nothing', { timeout: 60_000 }, () => {
  const root = join(import.meta.dirname, '../..')
  const dir = mkdtempSync(join(tmpdir(), 'lamina-skipped-'))
  try {
    const vitest = ['node_modules/vitest/vitest.mjs', 'run', '--project', 'unit', 'cli/lamina/completion.test.ts']
    const env = { PATH: process.env.PATH, HOME: process.env.HOME, TMPDIR: dir }
    const report = execFileSync(process.execPath, [...vitest, '-t', 'no test of this name'], {
      ...{ cwd: root, env, encoding: 'utf8', stdio: 'pipe' },
    })
    expect(report).toMatch(/skipped/)
    expect(readdirSync(dir).filter((name) => name.startsWith('lamina-'))).toEqual([])
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
})
