import { execFileSync } from 'node:child_process'
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { makeExt3, makeSquashfs } from '../../test/node/images.ts'
import { type CliBench, createCliBench } from './testing/bench.ts'

vi.setConfig({ testTimeout: 60_000 })

let bench: CliBench
beforeAll(async () => {
  bench = await createCliBench()
  const at = (name: string): string => join(bench.dir, name)
  writeFileSync(at('text.txt'), 'no image\n')
  writeFileSync(at('empty.img'), '')
  writeFileSync(at('image.def'), 'Bootstrap: docker\n')
  writeFileSync(at('env.bad'), 'A=1\nno variable\n')
  makeExt3(at('a.img'))
  makeExt3(at('b.img'))
  makeExt3(at('cut.img'))
  truncateSync(at('cut.img'), 8 * 2 ** 20)
  execFileSync('mkfs.ext4', ['-q', at('ext4.img'), '8M'])
  makeSquashfs(at('layer.sqfs'), ['dir / 0755 0 0'])
  mkdirSync(at('with-things'))
  writeFileSync(at('with-things/file'), '')
  mkdirSync(at('bare'))
  execFileSync('mkfifo', [at('fifo')])
  bench.lamina(['exec', '-o', 'a.img', bench.image, 'true'])
}, 60_000)
afterAll(() => bench.close())

const image = 'busybox.sqfs'
const exec = (...options: string[]): string[] => ['exec', ...options, image, 'true']

/** What is typed, what is answered, and the exit code: 255 for what is refused, as in Apptainer; 1 for what is not understood. */
const cases: [string[], string, number?][] = [
  [['exec', 'nope.sif', 'true'], 'could not open image nope.sif: no such file or directory'],
  [
    ['exec', 'text.txt', 'true'],
    'could not open image text.txt: it is neither squashfs nor SIF nor ext3 (bad magic number)',
  ],
  [['exec', 'empty.img', 'true'], 'could not open image empty.img: it is empty'],
  [
    ['exec', 'bare', 'true'],
    'could not open image bare: it is a directory without directories, and no root of a container',
  ],
  [
    ['exec', 'a.img', 'true'],
    'a.img is an overlay, and no container: give it with --overlay a.img, and an image beside it',
  ],
  [['exec', image], 'exec needs a command: lamina exec IMAGE COMMAND [ARGUMENT...]'],
  [['exec', image, 'nope'], '"nope": executable file not found in $PATH'],
  [['exec', image, '/etc/passwd'], '"/etc/passwd": permission denied'],
  [['exec', image, '/nope'], 'stat /nope: no such file or directory'],
  [['shell', '--shell', '/bin/zsh', image], 'stat /bin/zsh: no such file or directory'],
  [
    ['run', 'shub://GodloveD/ubuntu'],
    'shub://GodloveD/ubuntu: Singularity Hub no longer exists: take the image from a registry, docker://ubuntu for example',
  ],
  [
    ['run', 'library://ubuntu'],
    'library://ubuntu: pull it with apptainer or singularity, and give the file; or take docker://IMAGE',
  ],
  [['run', 'docker://'], '"docker://" names no image'],
  [
    ['run', 'docker://ubuntu:'],
    'docker://ubuntu: cannot be had: "ubuntu:" is not an image reference: write it as registry/repository:tag or repository@sha256:…, in lower case',
  ],
  [
    ['run', 'docker-archive:x.tar'],
    'docker-archive:x.tar is to be built first: lamina build image.sqfs docker-archive:x.tar, and then give image.sqfs',
  ],
  [['exec', 'instance://nope', 'true'], 'no instance found with name nope: lamina instance list shows those that run'],
  [exec('-o', 'nope.img'), 'could not open overlay nope.img: no such file or directory'],
  [exec('-o', ':ro'), '--overlay ":ro" names no file: write --overlay my-overlay.img or my-overlay.img:ro'],
  [
    exec('-o', 'text.txt'),
    'text.txt cannot be an overlay: it is neither squashfs nor SIF nor ext3 (bad magic number); make one with lamina overlay create',
  ],
  [
    exec('-o', 'ext4.img'),
    /^ext4.img: file is not a valid ext3 image: the file system has features that ext3 lacks .*: make it with mkfs.ext3$/
      .source,
  ],
  [
    exec('-o', 'cut.img'),
    'cut.img cannot be an overlay: it is cut off: its ext3 file system has 16777216 bytes, of which 8388608 are there; make one with lamina overlay create',
  ],
  [exec('-o', 'layer.sqfs:rw'), 'layer.sqfs is a squashfs, which cannot be written: give it as layer.sqfs:ro'],
  [
    exec('-o', 'a.img', '-o', 'b.img'),
    "you can't specify more than one writable overlay: give all of a.img and b.img but one with :ro",
  ],
  [exec('-o', 'a.img', '-o', './a.img:ro'), './a.img is given twice: give each overlay once'],
  [
    exec('-o', 'with-things'),
    'with-things has "file" in it, and an overlay\'s directory has only upper/ and work/: give an empty directory, or with-things:ro to lay it over the image as it is',
  ],
  [exec('-o', 'fifo'), 'fifo is neither a file nor a directory, and cannot be an overlay'],
  [exec('-B', 'nope'), '--bind "nope": the destination "nope" must be an absolute path in the container'],
  [exec('-B', '/nope'), 'could not open the source of --bind, /nope: no such file or directory'],
  [exec('-B', '/tmp:/x:exec'), '--bind "/tmp:/x:exec" is not SOURCE[:DESTINATION[:ro|:rw]]'],
  [exec('--env', '1=2'), '--env "1=2" is not NAME=VALUE'],
  [exec('--env-file', 'env.bad'), 'env.bad, line 2: "no variable" is not NAME=VALUE'],
  [exec('--no-mount', 'disk'), '--no-mount "disk": possible are dev, proc, sys, home, cwd, tmp, etc'],
  [exec('--pwd', '/nope'), '--pwd /nope: there is no such directory in the container'],
  [exec('--writable'), 'the image itself is never written: lay an overlay over it with --overlay'],
  [exec('--nope'), "unknown option '--nope'\nIts --help tells what there is.", 1],
  [['nope'], "unknown command 'nope'\nIts --help tells what there is.", 1],
  [['exec'], "missing required argument 'image'\nIts --help tells what there is.", 1],
  [['overlay', 'create', 'a.img'], 'a.img already exists: it is left as it is'],
  [['overlay', 'create', '--size', '1', 'new.img'], 'image size must be equal or greater than 64 MiB'],
  [
    ['overlay', 'create', '--size', 'big', 'new.img'],
    '--size "big" is not a size: write MiB as a number, or 768M, 10G',
  ],
  [['overlay', 'create', 'nope/new.img'], /^could not create nope\/new.img: there is no directory \/.*\/nope$/.source],
  [['build', image, 'sandbox'], /^build target \/.*busybox.sqfs already exists: remove it, or use --force$/.source],
  [['build', 'new.sqfs', 'nope'], 'could not open the source nope: no such file or directory'],
  [
    ['build', 'new.sqfs', 'image.def'],
    'image.def: definition files are not built here: build with apptainer or docker, and give docker://IMAGE',
  ],
  [
    ['build', 'new.sqfs', 'text.txt'],
    'text.txt is a file: write docker-archive:text.txt or oci-archive:text.txt, or give a directory',
  ],
  [['build', 'new.sqfs', 'docker-archive:text.txt'], /^could not read docker-archive:text.txt: .+$/.source],
  [
    ['instance', 'start', image, 'a/b'],
    '"a/b" cannot be an instance\'s name: letters, digits, dots, - and _, at most 100',
  ],
  [['instance', 'stop'], 'which instance? Give its name, or --all'],
  [['instance', 'stop', 'nope'], 'no instance found with name nope: lamina instance list shows those that run'],
  [['instance', 'stop', '--signal', 'NOPE', 'x'], '--signal "NOPE" is no signal: write TERM, SIGTERM or 15'],
  [['instance', 'stop', '--timeout', 'soon', 'x'], '--timeout "soon" is no number of seconds'],
]

test.each(cases)('lamina %j', (args, message, code = 255) => {
  const { stdout, stderr, ...ended } = bench.lamina(args, { cwd: bench.dir })
  expect(ended).toEqual({ code, signal: null })
  expect(stdout).toBe('')
  const told = stderr.replace(/^FATAL: {3}/, '').replace(/\n$/, '')
  if (message.startsWith('^')) expect(told).toMatch(new RegExp(message))
  else expect(told).toBe(message)
  expect(stderr).not.toMatch(/\n\s+at /)
})
