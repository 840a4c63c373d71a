import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { makeExt3, makeSquashfs } from '../../test/node/images.ts'
import { useCliBench } from './testing/bench.ts'
import { wrongInputs } from './wrong-inputs.ts'

const bench = await useCliBench()
beforeAll(() => {
  const at = (name: string): string => join(bench.dir, name)
  writeFileSync(at('text.txt'), 'no image\n')
  writeFileSync(at('empty.img'), '')
  writeFileSync(at('image.def'), 'Bootstrap: docker\n')
  writeFileSync(at('env.bad'), 'A=1\nno variable\n')
  makeExt3(at('a.img'))
  makeExt3(at('b.img'))
  makeExt3(at('cut.img'))
  truncateSync(at('cut.img'), 8 * 2 ** 20)
  execFileSync('mkfs.ext3', ['-q', '-O', 'extent', at('ext4.img'), '8M'])
  makeSquashfs(at('layer.sqfs'), ['dir / 0755 0 0'])
  mkdirSync(at('with-things'))
  writeFileSync(at('with-things/file'), '')
  mkdirSync(at('bare'))
  execFileSync('mkfifo', [at('fifo')])
  bench.lamina(['exec', '-o', 'a.img', bench.image, 'true'])
}, 60_000)

/** Where the answers have it. */
const home = '/home/ada'

test.each(wrongInputs.flatMap(({ inputs }) => inputs))('lamina %s', (typed, exitCode, told) => {
  const { stderr, ...outcome } = bench.lamina(typed.split(' '), { cwd: bench.dir })
  expect(stderr.replaceAll(bench.dir, home)).toBe(`FATAL:   ${told}\n`)
  expect(outcome).toEqual({ code: exitCode, signal: null, stdout: '' })
})

test('a word that is not UTF-8 is refused: the command would get another', () => {
  const line = `exec "$0" exec busybox.sqfs echo "$(printf 'caf\\351')"`
  const outcome = spawnSync('sh', ['-c', line, bench.launcher], { cwd: bench.dir, env: bench.env, encoding: 'utf8' })
  expect(outcome.stderr).toBe(
    'FATAL:   "caf\uFFFD" is not in UTF-8, and cannot be passed on as it is: give a name in UTF-8\n',
  )
  expect(outcome.status).toBe(255)
  expect(bench.lamina(['exec', bench.image, 'echo', 'caf\uFFFD'])).toMatchObject({ code: 0, stdout: 'caf\uFFFD\n' })
})
