import { execFileSync } from 'node:child_process'
import { closeSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { packSquashfs } from '../../test/node/images.ts'
import { assertNative, importFirst, importIt, type Layer, writeItAgain } from './native.ts'
import { openDirectoryBelow, withDirectory } from './open.ts'
import { OverlayDamagedError, OverlayError, type OverlaySource } from './parts.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync('/var/tmp/lamina-native-')
  mkdirSync(join(dir, 'layer/etc'), { recursive: true })
  writeFileSync(join(dir, 'layer/etc/motd'), 'hello\n')
})
afterEach(() => rmSync(dir, { recursive: true }))

const look = (
  path = join(dir, 'layer'),
  { within = 10_000, ...layer }: Partial<Layer> & { within?: number } = {},
): void => {
  const top = withDirectory(path, (dirfd) => openDirectoryBelow(dirfd, '.', path))
  try {
    assertNative(top, { name: 'overlay "work"', remedy: importIt, ...layer, deadline: performance.now() + within })
  } finally {
    closeSync(top)
  }
}

test('what the kernel itself could have written is taken', () => look())

test('forms of another tool are not, with what to do', () => {
  writeFileSync(join(dir, 'layer/etc/.wh.issue'), '')
  expect(look).toThrow(OverlayError)
  expect(look).toThrow(
    /^overlay "work" was written by another tool, .*: etc\/\.wh\.issue is a deleted file as fuse-overlayfs marks it; the node agent converts it/,
  )
})

test('one that cannot be looked through in time is not taken on trust: it is named, with what to do', () => {
  const late = { within: -1 }
  expect(() => look(undefined, late)).toThrow(OverlayError)
  expect(() => look(undefined, late)).toThrow(
    /^overlay "work" may have been written by another tool, and it has more files than can be looked through while a container starts; start an instance that has the overlay ReadWrite/,
  )
  expect(() => look(undefined, { ...late, remedy: writeItAgain })).toThrow(/; bring it as an ext3 image/)
})

test('of a writer, either is for the agent to mend: it is told as damage is', () => {
  const volume = { kind: 'directory', path: dir } as const
  const writer: OverlaySource = { name: 'work', uid: 'uid', access: 'ReadWrite', volume, format: 'Image', path: '.' }
  const ofWriter = { writer, remedy: importFirst }
  const late = () => look(undefined, { ...ofWriter, within: -1 })
  expect(late).toThrow(OverlayDamagedError)
  expect(late).toThrow(/^overlay "work": it may have been .* container starts; the node agent is to look through it$/)
  writeFileSync(join(dir, 'layer/etc/.wh.issue'), '')
  const foreign = () => look(undefined, ofWriter)
  expect(foreign).toThrow(OverlayDamagedError)
  expect(foreign).toThrow(/^overlay "work": it was written by another tool, .*; the node agent is to convert it$/)
})

test('one that is too deep is named, too', () => {
  const script = 'n=$(printf %0200d 0); for i in $(seq 20); do mkdir $n; cd $n; done; mkdir $n'
  execFileSync('sh', ['-c', script], { cwd: join(dir, 'layer') })
  expect(look).toThrow(
    /^overlay "work" may have .* it has directories too deep to be looked through; start an instance/,
  )
  execFileSync('rm', ['-rf', join(dir, 'layer')])
})

test('a file system without extended attributes has no forms in them', () => {
  const image = packSquashfs(join(dir, 'image'), join(dir, 'layer'))
  const at = join(dir, 'mounted')
  mkdirSync(at)
  execFileSync('mount', ['-o', 'loop', image, at])
  try {
    look(at)
  } finally {
    execFileSync('umount', [at])
  }
})
