import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { archive, directory, entry, file, hardLink, longName, opaque, symlink, whiteout } from './archive.ts'
import type { TestLayer } from './image.ts'

const run = promisify(execFile)

const long = (length: number): string => 'n'.repeat(length)

/** As real tools make it: a tree in the file system, archived by GNU tar with PAX headers, attributes and sparse files. */
const tree = `
set -e
cd "$1"
mkdir -p usr/bin usr/lib etc var/spool/deep/er swap/old opq/sub wh/dir implied/inner keep
echo bin > usr/bin/tool; chmod 4755 usr/bin/tool
echo lib > usr/lib/lib.so; ln -s usr/lib lib
echo cap > usr/bin/ping
echo one > usr/bin/one; ln usr/bin/one usr/bin/two; ln usr/bin/one etc/three
ln -s /no/where etc/dangling; ln etc/dangling etc/dangling-too
ln -s "$(printf 't%.0s' $(seq 300))" etc/long-target
mknod etc/null c 1 3; mknod etc/disk b 259 1048575; mkfifo etc/pipe; ln etc/pipe etc/pipe-too
touch -d 1965-03-04T05:06:07.25Z etc/old; touch -d 2001-02-03T04:05:06.999999999Z etc/fraction
touch -d 2090-01-01T00:00:00Z etc/future
touch etc/owned; chown 70000:3000000 etc/owned; chmod 1777 var/spool; chown 12:34 var/spool; chmod 700 implied/inner; chown 5:6 implied/inner
touch "$(printf 'latin-\\351')"; touch "$(printf '%0100d' 0)"; touch "$(printf '%0255d' 0)"
d=deep; for i in 1 2 3 4 5 6; do d=$d/$(printf '%060d' $i); done; mkdir -p $d; echo deep > $d/file
truncate -s 20M sparse; echo here | dd of=sparse bs=1 seek=9000000 conv=notrunc 2>/dev/null; truncate -s 5M hole
echo old > swap/old/file; echo f > opq/file; echo s > opq/sub/file; echo w > wh/file; echo d > wh/dir/file; echo k > keep/file
echo replaced > first; ln first second; ln first third
`

const attributes = `
import os, sys
root = sys.argv[1]
os.setxattr(root + '/usr/bin/ping', 'security.capability', bytes.fromhex('0100000200200000000000000000000000000000'))
os.setxattr(root + '/etc/owned', 'user.binary', bytes(range(256)))
os.setxattr(root + '/var/spool', 'user.empty', b'')
`

const bottomLayer = async (): Promise<Buffer> => {
  const dir = await mkdtemp(join(tmpdir(), 'lamina-nasty-'))
  try {
    const root = join(dir, 'root')
    await run('mkdir', [root])
    await run('sh', ['-c', tree, 'sh', root])
    await run('python3', ['-c', attributes, root])
    const options = ['--format=posix', '--sparse', '--xattrs', '--xattrs-include=*', '--sort=name']
    await run('tar', ['-C', root, ...options, '-cf', join(dir, 'layer.tar'), '.'])
    return await readFile(join(dir, 'layer.tar'))
  } finally {
    await rm(dir, { recursive: true })
  }
}

const middleLayer = (): Buffer =>
  archive(
    entry({ name: 'pax_global', type: 'g', body: '22 comment=global one\n' }),
    // A directory becomes a file; the next layer makes it a directory again.
    file('swap', 'now a file'),
    // Opaque, with entries before and after the marker.
    file('opq/before', 'before'),
    opaque('opq'),
    directory('opq/', { mode: 0o711, uid: 7 }),
    file('opq/after', 'after'),
    whiteout('wh/file'),
    whiteout('wh/dir'),
    // Below a path that a lower layer made a symbolic link.
    file('lib/extra.so', 'extra'),
    // No entry of the directory itself: it keeps what the layer below says.
    file('implied/inner/file', 'inner'),
    file('nowhere/said/file', 'said nowhere'),
    // Children before their directory.
    file('late/child', 'child'),
    directory('late', { mode: 0o750, uid: 9, gid: 10, mtime: 1_234_567_890 }),
    // Below the layer's own symbolic links.
    directory('real'),
    symlink('way', 'real'),
    file('way/through', 'through'),
    symlink('real/up', '../real/./deeper/../other'),
    file('way/up/here', 'here'),
    symlink('absolute', '/real'),
    file('absolute/slash', 'slash'),
    // Names that want normalizing.
    file('../../escape', 'escape'),
    file('/rooted', 'rooted'),
    file('a/../b//./c', 'c'),
    directory('./'),
    // The same path more than once.
    file('twice', 'first'),
    file('twice', 'second, longer'),
    directory('shape', { mode: 0o700 }),
    file('shape/gone', 'gone'),
    symlink('shape', 'elsewhere'),
    file('shape', 'in the end a file', { mode: 0o600 }),
    file('turn', 'a file'),
    directory('turn', { mode: 0o701, mtime: 77 }),
    file('turn/in', 'in'),
    directory('repeat', { mode: 0o700, uid: 1 }),
    file('repeat/file', 'r'),
    directory('repeat', { mode: 0o755, uid: 2, mtime: 42 }),
    // Hard links, one of them to what the next layer replaces.
    file('origin', 'of many names', { pax: { 'SCHILY.xattr.user.note': 'a\0b' } }),
    hardLink('link/one', 'origin', { pax: { 'SCHILY.xattr.user.note': 'a\0b' } }),
    hardLink('link/two', './link/one', { pax: { 'SCHILY.xattr.user.note': 'a\0b' } }),
    file('relabelled', 'x', { mode: 0o600, uid: 3 }),
    hardLink('relabel', 'relabelled', { mode: 0o4711, uid: 4, gid: 5, mtime: 99 }),
    file('circle', 'round'),
    hardLink('circle-two', 'circle'),
    hardLink('circle', 'circle-two'),
    // Dialects.
    file('base256', 'b', { format: 'gnu', uid: 2_097_152, gid: 4_000_000_000 }),
    file('before-epoch', 'b', { format: 'gnu', mtime: -5 }),
    file('v7', 'old', { format: 'v7' }),
    directory('v7-dir/', { format: 'v7', type: '\0' }),
    file('star', 'star', { format: 'star', prefix: 'prefixed' }),
    file('stray', 'go 1.7', { format: 'gnu', prefix: 'a/prefix/of/go/before/1.8' }),
    file('split', 'posix', { prefix: 'pre/fix' }),
    file('signed-\xe9', 's', { signedChecksum: true }),
    longName('L', `gnu/${long(150)}`),
    longName('K', long(200)),
    symlink('short', 'short', { format: 'gnu' }),
    longName('L', 'gnu/long-wins'),
    file('loses', 'L and x', { pax: { path: 'loses-too', uid: '4321' } }),
    file('empty-records', 'e', { uid: 8, pax: { uid: '', mtime: '1111.999999999', path: '' } }),
    file('body-by-pax', 'the record says how long', { size: 3, pax: { size: '24' } }),
    file('attributes', 'a', {
      pax: {
        'SCHILY.xattr.trusted.overlay.opaque': 'y',
        'SCHILY.xattr.user.kept': '\xff\0\xfe',
        'LIBARCHIVE.xattr.user.other': 'YQ',
      },
    }),
    directory('attributes-dir', { pax: { 'SCHILY.xattr.trusted.overlay.redirect': '/etc' } }),
    entry({ name: 'char', type: '3', major: 4, minor: 70_000, mode: 0o620 }),
    entry({ name: 'keep/file', type: '3', major: 0, minor: 0 }),
  )

const topLayer = (): Buffer =>
  archive(
    directory('swap', { mode: 0o751 }),
    file('swap/new', 'new'),
    file('origin', 'another now'),
    file('first', 'first anew'),
    directory('usr/bin', { mode: 0o555, mtime: 1_500_000_000 }),
    file('usr/bin/tool', 'tool anew', { mode: 0o755 }),
    directory('opq/sub'),
    file('wh/dir', 'a file where a directory was'),
  )

/** An image with every oddity that containerd unpacks, in three layers and three compressions. */
export const nastyLayers = async (): Promise<TestLayer[]> => [
  { archive: await bottomLayer(), compression: 'gzip' },
  { archive: middleLayer(), compression: 'zstd' },
  { archive: topLayer(), compression: 'none' },
]

/**
 * Directories of it whose time is not the image's: a layer puts something into
 * them without an entry of theirs, so that containerd's own doings show in it.
 */
export const timeless = [
  ...['a', 'a/prefix', 'a/prefix/of', 'a/prefix/of/go', 'a/prefix/of/go/before', 'a/prefix/of/go/before/1.8'],
  ...[
    'b',
    'gnu',
    'implied',
    'implied/inner',
    'keep',
    'lib',
    'link',
    'nowhere',
    'nowhere/said',
    'opq',
    'pre',
    'pre/fix',
  ],
  ...['prefixed', 'real/other', 'usr', 'wh'],
]

/** Names whose other names a higher layer has replaced: overlayfs counts those links still. */
export const counted = ['link/one', 'link/two', 'second', 'third']
