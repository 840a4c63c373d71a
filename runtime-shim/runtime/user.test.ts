import { execFileSync } from 'node:child_process'
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { resolveUser, resolveUserIn } from './user.ts'

const passwd = `root:x:0:0:root:/root:/bin/sh
worker:x:4711:4712::/home/worker:/bin/sh
twin:x:4711:1::/:/bin/sh
broken:x:abc:1::/:/bin/sh
`
const group = `root:x:0:
wheel:x:10:root,worker
crew:x:4800:worker
others:x:4801:coworker,workers
broken:x:abc:worker
`

describe('the user of an image', () => {
  test.each([
    ['', { uid: 0, gid: 0, groups: [10] }],
    ['root', { uid: 0, gid: 0, groups: [10] }],
    ['worker', { uid: 4711, gid: 4712, groups: [10, 4800] }],
    ['4711', { uid: 4711, gid: 4712, groups: [10, 4800] }],
    ['worker:crew', { uid: 4711, gid: 4800, groups: [10, 4800] }],
    ['worker:77', { uid: 4711, gid: 77, groups: [10, 4800] }],
    ['1234', { uid: 1234, gid: 0, groups: [] }],
    ['1234:5678', { uid: 1234, gid: 5678, groups: [] }],
    [':crew', { uid: 0, gid: 4800, groups: [10] }],
  ])('"%s"', (wanted, expected) => {
    expect(resolveUser(wanted, passwd, group)).toEqual(expected)
  })

  test.each([
    ['nobody-here', /user "nobody-here", which its \/etc\/passwd does not list/],
    ['broken', /user "broken"/],
    ['99999999999', /user "99999999999"/],
    ['worker:none', /group "none", which its \/etc\/group does not list/],
  ])('"%s" is refused in words', (wanted, message) => {
    expect(() => resolveUser(wanted, passwd, group)).toThrow(message)
  })

  test('numbers need no files', () => {
    expect(resolveUser('1000:1000', '', '')).toEqual({ uid: 1000, gid: 1000, groups: [] })
  })
})

describe("looked up in the root's own files", () => {
  let dir: string
  let root: number
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'lamina-user-'))
    mkdirSync(join(dir, 'etc'))
    root = openSync(dir, 'r')
  })
  afterEach(() => {
    closeSync(root)
    rmSync(dir, { recursive: true })
  })
  const lookUp = (user: string, more: { podGroups?: number[]; imageGroups?: boolean } = {}) =>
    resolveUserIn(root, { user, podGroups: [], imageGroups: true, ...more })

  test('the groups of image and pod are added', () => {
    writeFileSync(join(dir, 'etc/passwd'), passwd)
    writeFileSync(join(dir, 'etc/group'), group)
    expect(lookUp('worker', { podGroups: [5000, 10] })).toEqual({
      uid: 4711,
      gid: 4712,
      additionalGids: [4712, 10, 4800, 5000],
    })
  })

  test("the image's are not, when the pod's policy is Strict", () => {
    writeFileSync(join(dir, 'etc/passwd'), passwd)
    writeFileSync(join(dir, 'etc/group'), group)
    expect(lookUp('worker', { podGroups: [5000], imageGroups: false }).additionalGids).toEqual([4712, 5000])
  })

  test('an absolute link stays inside the root', () => {
    mkdirSync(join(dir, 'usr'))
    writeFileSync(join(dir, 'usr/passwd'), 'inner:x:42:43::/:/bin/sh\n')
    symlinkSync('/usr/passwd', join(dir, 'etc/passwd'))
    expect(lookUp('inner')).toMatchObject({ uid: 42, gid: 43 })
  })

  test('a link out of the root finds nothing of the host', () => {
    symlinkSync('../../../../../../etc/passwd', join(dir, 'etc/passwd'))
    expect(() => lookUp('daemon')).toThrow(/leads nowhere|does not list/)
  })

  test.each([
    ['a FIFO', () => execFileSync('mkfifo', [join(dir, 'etc/passwd')])],
    ['a huge file', () => execFileSync('truncate', ['-s', '17M', join(dir, 'etc/passwd')])],
  ])('%s in place of passwd is refused at once', (_what, make) => {
    make()
    expect(() => lookUp('worker')).toThrow(/no regular file of at most 16 MiB/)
  })
})
