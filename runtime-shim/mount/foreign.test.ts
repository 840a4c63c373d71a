import { execFileSync } from 'node:child_process'
import {
  closeSync,
  constants,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ForeignFormError, foreignForms, normaliseUpper } from './foreign.ts'
import { getXattr, listXattrs, makeWhiteout, setXattr } from './syscalls.ts'

let dir: string
let upper: string
let fd: number
beforeEach(() => {
  // Not in a tmpfs: user attributes are wanted.
  dir = mkdtempSync('/var/tmp/lamina-foreign-')
  upper = join(dir, 'upper')
  mkdirSync(upper)
  fd = openSync(upper, constants.O_RDONLY | constants.O_DIRECTORY)
})
afterEach(() => {
  closeSync(fd)
  rmSync(dir, { recursive: true })
})

const at = (...path: string[]): string => join(upper, ...path)
const file = (path: string, content = ''): string => {
  mkdirSync(join(at(path), '..'), { recursive: true })
  writeFileSync(at(path), content)
  return at(path)
}
const set = (path: string, name: string, value = 'y') => setXattr(Buffer.from(path), name, Buffer.from(value))
const xattrs = (path: string) => listXattrs(Buffer.from(path))
const isWhiteout = (path: string): boolean => {
  const stats = lstatSync(path)
  return stats.isCharacterDevice() && stats.rdev === 0
}
const isOpaque = (path: string): boolean =>
  xattrs(path).includes('trusted.overlay.opaque') &&
  getXattr(Buffer.from(path), 'trusted.overlay.opaque').toString() === 'y'
const found = () => [...foreignForms(fd)].map(({ path, what }) => `${path}: ${what}`).toSorted()

test("the kernel's own forms are no findings", () => {
  file('etc/passwd', 'x')
  makeWhiteout(fd, Buffer.from('gone'))
  // As fuse-overlayfs has one in an opaque directory.
  makeWhiteout(fd, Buffer.from('.wh..opq'))
  set(at('etc'), 'trusted.overlay.opaque')
  set(at('etc'), 'user.comment')
  symlinkSync('/etc/passwd', at('link'))
  execFileSync('mkfifo', [at('fifo')])
  expect(found()).toEqual([])
  expect(normaliseUpper(fd)).toBe(0)
})

test('directories are not entered when the time is up, be they empty', () => {
  for (const name of ['one', 'two']) {
    mkdirSync(at(name))
    set(at(name), 'user.overlay.impure')
  }
  const deadline = performance.now() + 200
  const all = foreignForms(fd, { xattrs: true, deadline })
  expect(all.next().value?.path).toMatch(/one|two/)
  while (performance.now() <= deadline);
  expect(() => all.next()).toThrow(/more files than can be looked through/)
})

test('a large directory is not read on when the time is up', () => {
  for (let n = 0; n < 5_000; n++) writeFileSync(at(`file-${n}`), '')
  const look = (deadline: number): void => {
    for (const _ of foreignForms(fd, { xattrs: false, deadline }));
  }
  const tooLate = (): void => expect(() => look(performance.now() - 1)).toThrow(ForeignFormError)
  const shortest = (act: () => void): number =>
    Math.min(
      ...[1, 2, 3, 4, 5].map(() => {
        const began = performance.now()
        act()
        return performance.now() - began
      }),
    )
  expect(shortest(tooLate)).toBeLessThan(shortest(() => look(Number.POSITIVE_INFINITY)) / 3)
})

describe('what fuse-overlayfs leaves', () => {
  test('a deleted file becomes a whiteout', () => {
    file('etc/.wh.passwd')
    expect(found()).toEqual(['etc/.wh.passwd: a deleted file as fuse-overlayfs marks it'])
    expect(normaliseUpper(fd)).toBe(1)
    expect(readdirSync(at('etc'))).toEqual(['passwd'])
    expect(isWhiteout(at('etc/passwd'))).toBe(true)
  })

  test('a directory marked from inside becomes opaque', () => {
    file('opt/tool/.wh..wh..opq')
    file('opt/tool/only', 'new')
    normaliseUpper(fd)
    expect(readdirSync(at('opt/tool'))).toEqual(['only'])
    expect(isOpaque(at('opt/tool'))).toBe(true)
  })

  test('a directory marked by an attribute becomes opaque', () => {
    mkdirSync(at('opt'))
    set(at('opt'), 'user.fuseoverlayfs.opaque')
    normaliseUpper(fd)
    expect(xattrs(at('opt'))).toEqual(['trusted.overlay.opaque'])
  })

  test('a file made again after it was deleted stays', () => {
    file('.wh.again')
    file('again', 'content')
    normaliseUpper(fd)
    expect(readdirSync(upper)).toEqual(['again'])
    expect(readFileSync(at('again'), 'utf8')).toBe('content')
  })

  test('a directory made again after it was deleted hides what was in it', () => {
    file('.wh.again')
    mkdirSync(at('again'))
    normaliseUpper(fd)
    expect(readdirSync(upper)).toEqual(['again'])
    expect(isOpaque(at('again'))).toBe(true)
  })

  test('names need not be UTF-8', () => {
    const mark = Buffer.concat([Buffer.from(`${upper}/.wh.caf`), Buffer.from([0xe9])])
    writeFileSync(mark, '')
    normaliseUpper(fd)
    expect(readdirSync(upper, 'latin1')).toEqual(['café'])
  })
})

describe('what mounts of user namespaces leave', () => {
  test('an opaque directory, and attributes that say nothing here', () => {
    file('opt/tool/file', 'x')
    set(at('opt/tool'), 'user.overlay.opaque')
    set(at('opt'), 'user.overlay.impure')
    set(at('opt/tool'), 'user.overlay.origin', 'handle')
    set(at('opt/tool/file'), 'user.overlay.origin', 'handle')
    set(upper, 'user.overlay.uuid', 'uuid')
    expect(normaliseUpper(fd)).toBe(5)
    expect(found()).toEqual([])
    expect(isOpaque(at('opt/tool'))).toBe(true)
    expect([upper, at('opt'), at('opt/tool/file')].flatMap(xattrs)).toEqual([])
  })

  test.each(['user', 'trusted'])('a deleted file as an attribute (%s.overlay.whiteout)', (namespace) => {
    set(file('etc/passwd'), `${namespace}.overlay.whiteout`)
    set(at('etc'), 'user.overlay.opaque', 'x')
    normaliseUpper(fd)
    expect(isWhiteout(at('etc/passwd'))).toBe(true)
    expect(xattrs(at('etc'))).toEqual([])
  })
})

describe('what has no equal is refused, and then nothing is changed', () => {
  test.each<[string, () => void]>([
    ['user.overlay.redirect', () => set(mkdir('moved'), 'user.overlay.redirect', '/was')],
    ['trusted.overlay.redirect', () => set(mkdir('moved'), 'trusted.overlay.redirect', '/was')],
    ['user.overlay.metacopy', () => set(file('chowned'), 'user.overlay.metacopy', '')],
    ['trusted.overlay.metacopy', () => set(file('chowned'), 'trusted.overlay.metacopy', '')],
    ['user.fuseoverlayfs.override_stat', () => set(file('owned'), 'user.fuseoverlayfs.override_stat', '0:0:644')],
    ['user.containers.override_stat', () => set(mkdir('owned'), 'user.containers.override_stat', '0:0:755')],
    ['user.overlay.opaque', () => set(mkdir('odd'), 'user.overlay.opaque', 'z')],
    ['user.overlay.whiteout', () => set(file('odd', 'with content'), 'user.overlay.whiteout')],
    ['.wh.full: named like the mark', () => file('.wh.full', 'with content')],
    ['.wh.dir: named like the mark', () => mkdir('.wh.dir')],
    ['.wh..wh.plnk: named like the mark', () => file('.wh..wh.plnk')],
    ['.wh.: named like the mark', () => file('.wh.')],
    ['opt/.wh...: named like the mark', () => file('opt/.wh...')],
    ['opt/.wh..: named like the mark', () => file('opt/.wh..')],
  ])('%s', (words, make) => {
    file('aaa/.wh.gone')
    file('zzz/.wh.gone')
    make()
    expect(() => normaliseUpper(fd)).toThrow(ForeignFormError)
    expect(() => normaliseUpper(fd)).toThrow(words)
    for (const path of ['aaa/.wh.gone', 'zzz/.wh.gone']) expect(lstatSync(at(path)).isFile()).toBe(true)
  })

  const mkdir = (path: string): string => {
    mkdirSync(at(path))
    return at(path)
  }
})

describe('an import that was cut off', () => {
  test('between whiteout and mark is finished', () => {
    file('.wh.gone')
    makeWhiteout(fd, Buffer.from('gone'))
    normaliseUpper(fd)
    expect(readdirSync(upper)).toEqual(['gone'])
    expect(isWhiteout(at('gone'))).toBe(true)
  })

  test('before a whiteout got its name is finished', () => {
    makeWhiteout(fd, Buffer.from('.wh..wh..lamina'))
    set(file('gone'), 'user.overlay.whiteout')
    expect(found()).toHaveLength(2)
    normaliseUpper(fd)
    expect(readdirSync(upper)).toEqual(['gone'])
    expect(isWhiteout(at('gone'))).toBe(true)
  })

  test('before an attribute went is finished', () => {
    mkdirSync(at('opt'))
    for (const name of ['trusted.overlay.opaque', 'user.overlay.opaque']) set(at('opt'), name)
    normaliseUpper(fd)
    expect(xattrs(at('opt'))).toEqual(['trusted.overlay.opaque'])
  })
})

describe('nothing leads out', () => {
  test('links to directories are not followed', () => {
    const outside = join(dir, 'outside')
    mkdirSync(outside)
    writeFileSync(join(outside, '.wh.precious'), '')
    symlinkSync(outside, at('link'))
    symlinkSync('/var/tmp', at('.wh.link'))
    expect(found()).toEqual(['.wh.link: named like the mark of a deleted file, and not one'])
    rmSync(at('.wh.link'))
    expect(normaliseUpper(fd)).toBe(0)
    expect(readdirSync(outside)).toEqual(['.wh.precious'])
  })

  test('another file system mounted inside is refused', () => {
    mkdirSync(at('mount'))
    execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', at('mount')])
    try {
      expect(() => normaliseUpper(fd)).toThrow(/EXDEV/)
    } finally {
      execFileSync('umount', [at('mount')])
    }
  })

  test('a tree too deep for a path is refused in words', () => {
    const script = 'n=$(printf %0200d 0); for i in $(seq 20); do mkdir $n; cd $n; done; mkdir $n'
    execFileSync('sh', ['-c', script], { cwd: upper })
    expect(() => normaliseUpper(fd)).toThrow(/too deep/)
    execFileSync('rm', ['-rf', upper])
    mkdirSync(upper)
  })
})
