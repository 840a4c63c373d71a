import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { archive, file } from '../../runtime-shim/image/testing/archive.ts'
import { writeImageDirectory } from '../../runtime-shim/image/testing/image.ts'
import { account, useCliBench } from './testing/bench.ts'

/** What another user plants where root works, which he can at any moment: here when root has begun a tool. */

const bench = await useCliBench()

/** Where everybody may write. */
const open = join(bench.dir, 'open')
mkdirSync(open)
chmodSync(open, 0o777)

const secret = join(bench.dir, 'secret')
writeFileSync(secret, 'of root alone', { mode: 0o600 })
const assertUntouched = () => {
  expect(readFileSync(secret, 'utf8')).toBe('of root alone')
  expect(statSync(secret).mode & 0o777).toBe(0o600)
}

/** The tool, once such lines of shell have been run. */
const after = (lines: string, tool: string): NodeJS.ProcessEnv => {
  const planter = mkdtempSync(join(bench.dir, 'planter-'))
  const real = execFileSync('which', [tool], { encoding: 'utf8' }).trim()
  writeFileSync(join(planter, tool), `#!/bin/sh\n${lines}\nexec ${real} "$@"\n`, { mode: 0o755 })
  return { PATH: `${planter}:${bench.env.PATH}` }
}
/** Lines for each name in the open directory that root is working on. */
const forEach = (line: string): string => `for each in ${open}/.lamina-*; do [ -e "$each" ] || continue; ${line}; done`
const link = `ln -sfn ${secret} "$each"`

test('an overlay is made in no place but its own', () => {
  const create = ['overlay', 'create', join(open, 'new.img')]
  expect(bench.lamina(create, { env: after(forEach(link), 'mkfs.ext3') })).toMatchObject({
    code: 255,
    stderr: expect.stringMatching(/new\.img: somebody else has taken away what was to become it\n$/),
  })
  assertUntouched()
  expect(readdirSync(open)).toEqual([])

  const aside = `mv "$each" ${open}/aside; ${link}`
  expect(bench.lamina(create, { env: after(forEach(aside), 'mkfs.ext3') })).toMatchObject({ code: 0 })
  assertUntouched()
  expect(bench.lamina(['overlay', 'check', join(open, 'new.img')])).toMatchObject({ code: 0 })
})

test.each([
  ['', []],
  [' that replaces another', ['--force']],
])('an image%s changes the mode of no other file', (_, options) => {
  const build = ['build', ...options, join(open, 'new.sqfs'), bench.sandbox]
  expect(bench.lamina(build, { env: after(forEach(link), 'gensquashfs') })).toMatchObject({
    code: 255,
    stderr: expect.stringMatching(/new\.sqfs: somebody else has taken away what was to become it\n$/),
  })
  assertUntouched()
})

test('layers lie where nobody else gets at them', async () => {
  const [image, loot] = [join(bench.dir, 'image'), join(bench.dir, 'loot')]
  await writeImageDirectory(image, [{ archive: archive(file('hello', 'hello')) }])
  execFileSync('skopeo', ['copy', '--quiet', `dir:${image}`, `oci:${bench.dir}/layout:latest`])
  mkdirSync(loot)
  const env = after(forEach(`mv "$each" "$each-aside"; ln -s ${loot} "$each"`), 'skopeo')
  expect(bench.lamina(['build', join(open, 'layers.sqfs'), `oci:${bench.dir}/layout:latest`], { env })).toMatchObject({
    code: 0,
  })
  expect(readdirSync(loot)).toEqual([])
})

test("root uses no image from another user's cache", () => {
  const digest = 'a'.repeat(64)
  const cache = join(bench.userHome, 'cache')
  mkdirSync(cache)
  copyFileSync(bench.image, join(cache, `sha256-${digest}.sqfs`))
  const run = () =>
    bench.lamina(['exec', `docker://example.com/tool@sha256:${digest}`, 'cat', '/etc/motd'], {
      env: { LAMINA_CACHEDIR: cache },
    })
  const refused = {
    code: 255,
    stdout: '',
    stderr: expect.stringMatching(
      /^FATAL: {3}others than root can write to \/.*: set LAMINA_CACHEDIR to a directory of root's own\n$/,
    ),
  }
  // His is what it lies in: he could put another one there.
  expect(run()).toMatchObject(refused)
  chownSync(cache, account, account)
  expect(run()).toMatchObject(refused)
})

test("root's registries are not of another user's choice", () => {
  const told = join(bench.dir, 'home-of-skopeo')
  const run = (HOME: string) => {
    const env = { ...after(`echo "$HOME" > ${told}; exit 1`, 'skopeo'), HOME }
    expect(bench.lamina(['exec', 'docker://example.invalid/tool:1', 'true'], { env })).toMatchObject({ code: 255 })
    return readFileSync(told, 'utf8').trim()
  }
  expect(run(bench.userHome)).toBe(userInfo().homedir)
  const own = join(bench.dir, 'home')
  expect(run(own)).toBe(own)
})

test('the lock of a directory is made in no place but its own', () => {
  const overlay = join(open, 'directory')
  mkdirSync(overlay)
  const env = after(`ln -s ${secret} ${overlay}/lock.squashfs`, 'gensquashfs')
  bench.lamina(['exec', '-o', overlay, bench.image, 'true'], { env })
  assertUntouched()
})
