import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { makeSif } from '../../../test/node/images.ts'
import { useCliBench } from '../testing/bench.ts'
import { expectNothingLeft } from '../testing/nothing-left.ts'

const bench = await useCliBench()

const fixtures = join(import.meta.dirname, '../../../test/fixtures')

describe('an image', () => {
  test.each([
    ['a squashfs', () => bench.image],
    ['the directory of a sandbox', () => bench.sandbox],
    [
      'a SIF',
      () => makeSif(join(bench.dir, 'a.sif'), [{ content: readFileSync(bench.image), fileSystem: 1, role: 2 }]),
    ],
    [
      'a .simg of Singularity 2',
      () => {
        const line = Buffer.from('#!/usr/bin/env run-singularity\n')
        writeFileSync(join(bench.dir, 'a.simg'), Buffer.concat([line, readFileSync(bench.image)]))
        return join(bench.dir, 'a.simg')
      },
    ],
    [
      'a symbolic link to one',
      () => {
        symlinkSync(bench.image, join(bench.dir, 'link.sqfs'))
        return join(bench.dir, 'link.sqfs')
      },
    ],
  ])('can be %s', (_, make) => {
    const image = make()
    expect(bench.lamina(['exec', image, 'cat', '/etc/group'])).toMatchObject({ code: 0, stdout: 'root:x:0:\n' })
    expect(bench.lamina(['exec', image, 'touch', '/etc/new'])).toMatchObject({ code: 0 })
    expect(bench.lamina(['exec', image, 'ls', '/etc/new'])).toMatchObject({ code: 1 })
  })

  test('that Apptainer made runs: .simg and .sif', () => {
    for (const name of ['minimal.simg', 'minimal.sif'])
      expect(bench.lamina(['exec', join(fixtures, name), 'hello', 'one', 'two'])).toMatchObject({
        stdout: 'one\ntwo\n',
      })
  })

  test('that is a .simg runs its own runscript, by the shell that is bound into it', () => {
    const args = ['run', '-B', '/bin/busybox:/bin/sh', join(fixtures, 'minimal.simg')]
    expect(bench.lamina(args)).toMatchObject({
      code: 0,
      stdout: 'There is no runscript defined for this container\\n\n',
    })
  })

  const withScripts = (): string => {
    const dir = join(bench.dir, 'scripted')
    execFileSync('cp', ['-a', bench.sandbox, dir])
    mkdirSync(join(dir, '.singularity.d/env'), { recursive: true })
    writeFileSync(join(dir, '.singularity.d/env/90-environment.sh'), 'export GREETING=hello\n')
    writeFileSync(join(dir, '.singularity.d/runscript'), '#!/bin/sh\necho "$GREETING, $*"\n', { mode: 0o755 })
    return dir
  }

  test('of Singularity has its environment and its runscript', () => {
    const image = withScripts()
    expect(bench.lamina(['run', image, 'you', 'two'])).toMatchObject({ stdout: 'hello, you two\n' })
    expect(bench.lamina(['exec', image, 'sh', '-c', 'echo $GREETING'])).toMatchObject({ stdout: 'hello\n' })
    expect(bench.lamina(['shell', image, '-c', 'echo "$GREETING $PS1"'])).toMatchObject({
      stdout: 'hello Lamina scripted:\\w> \n',
    })
  })
})

test('nothing stays mounted or attached', () => expectNothingLeft(bench))
