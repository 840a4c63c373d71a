import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { markLength, markOf } from './build-mark.ts'
import { useCliBench } from './testing/bench.ts'

const bench = await useCliBench()

const keptAt = join(bench.dir, 'code')
const run = (programs: string, ...args: string[]) =>
  spawnSync(process.execPath, [join(programs, 'lamina.cjs'), ...args], {
    env: { ...bench.env, LAMINA_CODE: keptAt },
    encoding: 'utf8',
  })

test('code that was kept of one build is not run for another of the same length', () => {
  const programs = dirname(bench.launcher)
  const other = join(bench.dir, 'other')
  cpSync(programs, other, { recursive: true })
  const path = join(other, 'lamina-program.cjs')
  const text = readFileSync(path, 'utf8').replace('run a command in a container', 'RUN A COMMAND IN A CONTAINER')
  writeFileSync(path, `${text.slice(0, -markLength)}${markOf('0'.repeat(64))}`)

  expect(run(programs, 'exec', bench.image, 'true')).toMatchObject({ status: 0, stderr: '' })
  expect(existsSync(keptAt)).toBe(true)
  expect(run(other, '--help').stdout).toContain('RUN A COMMAND IN A CONTAINER')
})
