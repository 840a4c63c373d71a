import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, copyFileSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { account, useCliBench } from '../testing/bench.ts'
import { escapeFromChroot } from '../testing/escape.ts'
import { processesWith } from '../testing/processes.ts'

const bench = await useCliBench()

const sh = (script: string, ...options: string[]) => bench.asUser(['exec', ...options, bench.image, 'sh', '-c', script])
const fixtures = join(import.meta.dirname, '../../../test/fixtures')
const nobodyServes = () => expect(processesWith(bench.dir)).toEqual([])

describe('as an ordinary user', () => {
  test('a command runs as himself, without capabilities, and ends as it ends', () => {
    const { stdout, code } = sh('id; grep CapEff /proc/self/status; touch /new; ls -d /new; exit 4')
    expect(code).toBe(4)
    expect(stdout).toMatch(new RegExp(`^uid=${account}\\(\\w+\\) gid=${account}`))
    expect(stdout).toContain('CapEff:\t0000000000000000\n/new\n')
    expect(sh('kill -9 $$')).toMatchObject({ code: null, signal: 'SIGKILL' })
    expect(sh('ls /new')).toMatchObject({ code: 1 })
    nobodyServes()
  })

  test('no word of a command is one for Node', () => {
    expect(bench.asUser(['exec', bench.image, 'echo', '--env-file', 'nope']).stdout).toBe('--env-file nope\n')
  })

  test('with --pid it is without capabilities too, and nothing of it is left', () => {
    const { stdout, code } = sh('sleep 1000 & grep CapEff /proc/self/status; exit 4', '--pid')
    expect({ stdout, code }).toEqual({ stdout: 'CapEff:\t0000000000000000\n', code: 4 })
    nobodyServes()
  })

  test('when lamina is killed, the command ends too, and its overlay is free', async () => {
    expect(bench.asUser(['overlay', 'create', 'killed.img'])).toMatchObject({ code: 0 })
    const script = 'echo >~/up; exec sleep 1000'
    const lamina = bench.spawnAsUser(['exec', '-o', 'killed.img', bench.image, 'sh', '-c', script])
    await vi.waitFor(() => expect(existsSync(join(bench.userHome, 'up'))).toBe(true), 10_000)
    lamina.kill('SIGKILL')
    await vi.waitFor(nobodyServes, 10_000)
    expect(sh('true', '-o', 'killed.img')).toMatchObject({ code: 0 })
  })

  test.each(['--contain', '--containall'])('with --fakeroot and %s he finds nothing above his root', (option) => {
    expect(sh(escapeFromChroot, '--fakeroot', option)).toMatchObject({ stdout: 'jail\n', stderr: '' })
  })

  test('an overlay of his own keeps what he writes, changes and removes', () => {
    expect(bench.asUser(['overlay', 'create', 'mine.img'])).toMatchObject({ code: 0, stderr: '' })
    const write =
      'echo new > /foo; rm /etc/motd; rm -r /usr; mkdir /usr; echo more >> /bin/tool; dd if=/dev/zero of=/big bs=1M count=8'
    expect(sh(write, '-o', 'mine.img')).toMatchObject({ code: 0 })
    const look = 'cat /foo /bin/tool; find /usr; ls /etc/motd; stat -c %s /big'
    expect(sh(look, '-o', 'mine.img').stdout).toBe('new\nmore\n/usr\n8388608\n')
    nobodyServes()
    execFileSync('e2fsck', ['-fn', join(bench.userHome, 'mine.img')], { stdio: 'pipe' })
  })

  test('an overlay that is full takes no exit code from a command, and what may be lost is no success', () => {
    expect(bench.asUser(['overlay', 'create', 'full.img'])).toMatchObject({ code: 0 })
    const fill = 'dd if=/dev/zero of=/full bs=64k count=2000'
    const { code, stderr } = sh(`${fill}; exit 5`, '-o', 'full.img')
    expect(code).toBe(5)
    expect(stderr).toMatch(
      /^WARNING: overlay full\.img is full: what was written last may be lost; lamina overlay resize full\.img SIZE makes it larger$/m,
    )
    expect(stderr).not.toContain('FATAL')
    expect(sh(`${fill}; exit 0`, '-o', 'full.img')).toMatchObject({
      code: 255,
      stderr: expect.stringContaining('WARNING: overlay full.img is full: '),
    })
    expect(bench.asUser(['overlay', 'resize', 'full.img', '256M'])).toMatchObject({ code: 0 })
    expect(sh('rm /full; echo more >/more', '-o', 'full.img')).toMatchObject({ code: 0, stderr: '' })
    nobodyServes()
  })

  test('root goes on where he has left it, and what he has deleted stays deleted', () => {
    const mine = join(bench.dir, 'copy.img')
    copyFileSync(join(bench.userHome, 'mine.img'), mine)
    const script = 'cat /foo; ls /etc/motd /usr/bin'
    const found = bench.lamina(['exec', '-o', mine, bench.image, 'sh', '-c', script])
    expect(found).toMatchObject({ code: 1, stdout: 'new\n' })
    expect(found.stderr).toMatch(/\/etc\/motd: No such file or directory\n.*\/usr\/bin: No such file/)
    expect(found.stderr).toMatch(/marks of deleted files rewritten as the kernel knows them/)
  })

  test('he goes on where root has left it: what root has made he reads', () => {
    const shared = join(bench.userHome, 'shared.img')
    expect(bench.asUser(['overlay', 'create', 'shared.img'])).toMatchObject({ code: 0 })
    expect(sh('echo mine > /mine', '-o', 'shared.img')).toMatchObject({ code: 0 })
    const asRoot = (script: string) => bench.lamina(['exec', '-o', shared, bench.image, 'sh', '-c', script])
    expect(asRoot('echo of root > /roots; echo more >> /mine')).toMatchObject({ code: 0 })
    const { code, stdout, stderr } = sh('cat /mine /roots; echo again >> /mine', '-o', 'shared.img')
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'mine\nmore\nof root\n' })
    expect(stderr).toMatch(/^WARNING: shared\.img was written by root: of directories that were deleted and made again/)
    expect(asRoot('cat /mine').stdout).toBe('mine\nmore\nagain\n')
  })

  test("an overlay with root's files alone is written with --fakeroot, and that is said", () => {
    const owned = join(bench.userHome, 'apptainers.img')
    execFileSync('sh', [
      '-c',
      `zstd -dq -o ${owned} ${fixtures}/apptainer-overlay.img.zst && chown ${account} ${owned}`,
    ])
    const write = (...options: string[]) => sh('touch /new && ls /new', ...options, '-o', 'apptainers.img')
    const said = {
      code: 255,
      stderr:
        'FATAL:   overlay apptainers.img has files of other users or of root, and cannot be written by you: give --fakeroot, which writes what is of root, or have root mount it and chown -R all in it to you\n',
    }
    // Root's lamina leaves a record in it.
    expect(bench.lamina(['exec', '-o', owned, bench.image, 'true'])).toMatchObject({ code: 0 })
    expect(write()).toMatchObject(said)
    expect(write('--fakeroot')).toMatchObject({ code: 0, stdout: '/new\n' })
    nobodyServes()
  })

  test.each(['upper', 'work'])("an overlay's %s that leads to files of his on the host is not followed", (part) => {
    const file = join(bench.userHome, `sly-${part}.img`)
    const secrets = join(bench.userHome, `secrets-${part}`)
    expect(bench.asUserShell(`mkdir ${secrets}; echo mine >${secrets}/key`)).toMatchObject({ code: 0 })
    expect(bench.asUser(['overlay', 'create', file])).toMatchObject({ code: 0 })
    for (const request of [`rmdir ${part}`, `symlink ${part} ${secrets}`])
      execFileSync('debugfs', ['-w', '-R', request, file], { stdio: 'pipe' })
    const refused = {
      code: 255,
      stdout: '',
      stderr: `FATAL:   ${part}/ of overlay ${file} is or leads through a symbolic link, which is never followed: put what it leads to in its place\n`,
    }
    expect(sh('cat /key; echo more >/new', '--containall', '-o', file)).toMatchObject(refused)
    if (part === 'upper') expect(sh('cat /key', '--containall', '-o', `${file}:ro`)).toMatchObject(refused)
    expect(readdirSync(secrets)).toEqual(['key'])
    nobodyServes()
  })

  test('an overlay is his as himself or as root, and it is said how', () => {
    bench.asUser(['overlay', 'create', 'as-me.img'])
    bench.asUser(['overlay', 'create', '--fakeroot', 'as-root.img'])
    const write = (...options: string[]) => bench.asUser(['exec', ...options, bench.image, 'touch', '/foo'])
    expect(write('--fakeroot', '-o', 'as-me.img')).toMatchObject({
      code: 255,
      stderr:
        'FATAL:   overlay as-me.img was made without --fakeroot, and cannot be written with it: leave --fakeroot out, or make another with lamina overlay create --fakeroot\n',
    })
    expect(write('-o', 'as-root.img')).toMatchObject({
      code: 255,
      stderr:
        'FATAL:   overlay as-root.img was made with --fakeroot, or by root: give --fakeroot, or make another with lamina overlay create\n',
    })
    expect([write('-o', 'as-me.img'), write('--fakeroot', '-o', 'as-root.img')]).toMatchObject([
      { code: 0 },
      { code: 0 },
    ])
  })

  test('with --fakeroot he is root in the container', () => {
    expect(bench.asUser(['overlay', 'create', '--fakeroot', 'fake.img'])).toMatchObject({ code: 0 })
    expect(sh('id -u; touch /etc/new; stat -c %u /etc/new', '-f', '-o', 'fake.img').stdout).toBe('0\n0\n')
    expect(sh('stat -c %u /etc/new', '-f', '-o', 'fake.img').stdout).toBe('0\n')
    expect(
      execFileSync('debugfs', ['-R', 'stat upper/etc/new', join(bench.userHome, 'fake.img')], {
        stdio: 'pipe',
      }).toString(),
    ).toMatch(/User: +0 /)
  })

  test('with --fakeroot and a range of ids he can give files to others and become them, as apt does', () => {
    const fake = (script: string) =>
      bench.asUser(['exec', '-f', '-o', 'range.img', bench.image, 'sh', '-c', script], { range: true })
    bench.asUser(['overlay', 'create', '--fakeroot', 'range.img'], { range: true })
    expect(fake('touch /of-42; busybox chown 42:43 /of-42')).toMatchObject({ code: 0, stderr: '' })
    expect(fake('stat -c %u:%g /of-42')).toMatchObject({ stdout: '42:43\n' })
    fake('echo _apt:x:42:43::/:/bin/sh >>/etc/passwd')
    expect(fake('busybox start-stop-daemon -S -c 42:43 -x /bin/cat -- /etc/motd')).toMatchObject({
      stdout: 'welcome\n',
    })
    const image = join(bench.userHome, 'range.img')
    const asRoot = ['exec', '-o', image, bench.image, 'stat', '-c', '%u:%g', '/of-42']
    expect(bench.lamina(asRoot)).toMatchObject({ code: 0, stdout: '42:43\n' })
  })

  test('runs an image beside which something is mounted', () => {
    const before = `mkdir -p ${bench.dir}/below; mount -t tmpfs t ${bench.dir}/below`
    expect(bench.asUser(['exec', bench.image, 'echo', 'up'], { before })).toMatchObject({ code: 0, stdout: 'up\n' })
  })

  test('a signal that comes as soon as the command runs is for the command', () => {
    const script = 'trap "exit 3" TERM; kill -TERM $PPID; sleep 1; exit 4'
    // A directory is there at once: of a squashfs the command would take its time to begin.
    const words = ['exec', bench.sandbox, 'busybox', 'sh', '-c', script]
    const ends = Array.from({ length: 12 }, () => bench.asUser(words))
    expect(ends).toEqual(ends.map(() => ({ code: 3, signal: null, stdout: '', stderr: '' })))
  })

  test('finds limits and descriptors as he had them, and ends by the signal that ended the command', () => {
    const find = (inside: string): string =>
      bench.asUserShell(`ulimit -Sn 333; exec 7</etc/hostname; ${inside} sh -c 'ulimit -Sn; umask; cat <&7'`).stdout
    for (const options of ['', '--pid'])
      expect(find(`${bench.launcher} exec ${options} ${bench.image}`)).toBe(find('busybox'))
    expect(sh('kill -PIPE $$')).toMatchObject({ signal: 'SIGPIPE' })
  })

  test('keeps his state only where nobody else can take it away', () => {
    const others = join(bench.dir, 'others')
    mkdirSync(others)
    chownSync(others, account + 1, account + 1)
    chmodSync(others, 0o777)
    const env = { LAMINA_STATE_DIR: join(others, 'state') }
    expect(bench.asUser(['exec', bench.image, 'true'], { env })).toMatchObject({
      code: 255,
      stderr: `FATAL:   ${others} is another's, or others can write there: set XDG_RUNTIME_DIR to a directory of your own\n`,
    })
  })

  test('builds an image, of which he runs a command', () => {
    expect(bench.asUser(['build', 'own.sqfs', bench.sandbox])).toMatchObject({ code: 0 })
    expect(bench.asUser(['exec', 'own.sqfs', 'cat', '/etc/motd'])).toMatchObject({ code: 0, stdout: 'welcome\n' })
  })

  test('what serves his overlay and cannot be started is told in a line', () => {
    const programs = join(bench.userHome, 'programs')
    mkdirSync(programs)
    writeFileSync(join(programs, 'setpriv'), '#!/nowhere\n', { mode: 0o755 })
    bench.asUser(['overlay', 'create', 'served.img'])
    const line = `PATH=${programs}:$PATH ${bench.launcher} exec -o served.img ${bench.image} true`
    expect(bench.asUserShell(line)).toMatchObject({
      code: 255,
      stderr: `FATAL:   spawn ${programs}/setpriv ENOENT\n`,
    })
    nobodyServes()
  })

  test('the same overlay is not written twice at once', () => {
    bench.asUser(['overlay', 'create', 'held.img'])
    const again = `${bench.launcher} exec -o held.img ${bench.image} true`
    // Two of them from one shell, the second while the first runs.
    const first = `${bench.launcher} exec -o held.img ${bench.image} sh -c 'echo up; sleep 3' | { read line; ${again}; echo $?; }`
    const { stdout, stderr } = bench.asUserShell(first)
    expect(stdout).toBe('255\n')
    expect(stderr).toBe("FATAL:   can't open held.img for writing, currently in use by another process\n")
  })

  test('squashfs and directories lie over the image, read', () => {
    mkdirSync(join(bench.userHome, 'layer'))
    copyFileSync('/etc/hostname', join(bench.userHome, 'layer/extra'))
    chmodSync(join(bench.userHome, 'layer/extra'), 0o644)
    expect(sh('ls /extra', '-o', 'layer:ro')).toMatchObject({ code: 0, stdout: '/extra\n' })
  })

  test('what only root can is refused with the way out', () => {
    const withoutFuse = bench.asUser(['exec', bench.image, 'true'], { fuse: false })
    expect(withoutFuse.stderr).toMatch(/^FATAL: {3}\/dev\/fuse cannot be opened by an ordinary user here: /)
  })
})
