import { execFileSync, spawn } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { editExt3, makeVolume } from '../../test/node/images.ts'
import { type BenchContainer, createRuntimeBench, type RuntimeBench } from '../../test/node/runtime-bench.ts'
import { attachedFiles } from '../mount/loop.ts'
import { readJson } from '../node/json-file.ts'
import { containerPaths, podPaths, rootPath } from '../node/layout.ts'
import { volumesSchema } from '../node/ticket.ts'

const isPathAttached = (path: string): boolean => attachedFiles().some((file) => file.path === path)

let bench: RuntimeBench
beforeAll(async () => {
  bench = await createRuntimeBench()
}, 60_000)
afterAll(() => bench.close())

/** runc may have to wait for a cgroup, and says so. */
const quietly = { exitCode: 0, stderr: expect.not.stringMatching(/^lamina:/m) }

const mountPath = '/.lamina/overlays/0'
const overlay = { name: 'work', uid: 'overlay-uid', access: 'ReadWrite' as const, mountPath }

let count = 0
const volume = () => makeVolume(join(bench.dir, `volume-${count++}`))

/** An instance's container with leave to mount its overlay. */
const instance = (directory: string, options: Omit<Parameters<RuntimeBench['container']>[0], 'mounts'> = {}) => {
  const container = bench.container({ mounts: [{ destination: mountPath, source: directory }], ...options })
  bench.ticket(container.podUID, { overlays: [overlay] })
  return container
}

const nothingIsLeftOf = ({ id }: BenchContainer) => {
  expect(existsSync(containerPaths(bench.layout, id).dir)).toBe(false)
  expect(existsSync(rootPath(bench.layout, id))).toBe(false)
}

describe("an instance's container", () => {
  /** A process that says which signal it got. */
  const listening = (stopSignal: number | null) => {
    const script = 'trap "echo INT" INT; trap "echo TERM" TERM; echo up; while :; do sleep 0.05; done'
    const container = instance(volume(), { args: ['sh', '-c', script] })
    bench.ticket(container.podUID, { overlays: [overlay], stopSignal })
    return bench.started(container)
  }

  test.each([
    ['SIGTERM', 2, 'INT'],
    ['15', 2, 'INT'],
    ['TERM', null, 'TERM'],
    ['INT', 15, 'INT'],
  ])('asked to end by %s, with the stop signal %s of its image, gets %s', async (asked, stopSignal, got) => {
    const container = listening(stopSignal)
    await vi.waitFor(() => expect(bench.output(container)).toContain('up'))
    expect(bench.run('kill', container.id, asked)).toMatchObject(quietly)
    await vi.waitFor(() => expect(bench.output(container)).toBe(`up\n${got}\n`))
    bench.ended(container)
    nothingIsLeftOf(container)
  })

  test('runs on its own root; what is written stays over containers; nothing is left mounted', () => {
    const work = volume()
    const first = bench.started(instance(work))
    expect(bench.exec(first, 'sh', '-c', 'echo kept > /foo; cat /foo')).toMatchObject({ exitCode: 0, stdout: 'kept\n' })
    expect(isPathAttached(join(work, 'overlay.img'))).toBe(true)
    expect(bench.ended(first)).toMatchObject(quietly)
    expect(isPathAttached(join(work, 'overlay.img'))).toBe(false)
    nothingIsLeftOf(first)

    const second = bench.started(instance(work))
    expect(bench.exec(second, 'cat', '/foo').stdout).toBe('kept\n')
    bench.ended(second)
  })

  test('is recorded while mounted, and its release tells the state of the image', () => {
    const work = volume()
    const container = bench.started(instance(work))
    const record = bench.recordOf(container)
    expect(record?.overlays).toEqual([
      {
        name: 'work',
        uid: 'overlay-uid',
        access: 'ReadWrite',
        path: join(work, 'overlay.img'),
        dev: expect.stringMatching(/^\d+$/),
        ino: execFileSync('stat', ['-c', '%i', join(work, 'overlay.img')], { encoding: 'utf8' }).trim(),
        loop: { number: expect.any(Number), diskseq: expect.stringMatching(/^\d+$/) },
        device: null,
        ext3Offset: 0,
      },
    ])
    expect(record).toMatchObject({
      pidFile: join(container.bundle, 'pid'),
      instance: { namespace: 'default', name: 'bench' },
    })
    bench.ended(container)
    expect(readdirSync(podPaths(bench.layout, container.podUID).mounts)).toEqual([])
    expect(bench.releaseOf(container)).toMatchObject({
      overlays: [
        { uid: 'overlay-uid', released: true, figures: { needsRecovery: false, errorCount: 0, blocks: 16_384 } },
      ],
    })
  })

  test('keeps one release over its restarts in place', () => {
    const work = volume()
    const first = bench.started(instance(work))
    bench.ended(first)
    const again = bench.started(
      bench.container({ podUID: first.podUID, mounts: [{ destination: mountPath, source: work }] }),
    )
    bench.ended(again)
    expect(readdirSync(podPaths(bench.layout, first.podUID).releases)).toEqual([`${again.id}.json`])
  })

  test('sees neither the raw volume nor a mount point of ours in its overlay', () => {
    const work = volume()
    writeFileSync(join(bench.dir, 'hosts'), '127.0.0.1 localhost\n')
    const container = bench.container({
      mounts: [
        { destination: mountPath, source: work },
        { destination: '/etc/hosts', source: join(bench.dir, 'hosts') },
      ],
    })
    bench.ticket(container.podUID, { overlays: [overlay] })
    bench.started(container)
    expect(bench.exec(container, 'cat', '/etc/hosts').stdout).toBe('127.0.0.1 localhost\n')
    expect(bench.exec(container, 'sh', '-c', 'ls /.lamina; grep -c /.lamina/overlays /proc/mounts').stdout).toBe(
      'init\n0\n',
    )
    bench.ended(container)
    expect(editExt3(join(work, 'overlay.img'), 'ls -p upper').match(/\/[^/]+\/$/gm)).toEqual(null)
  })

  test('leaves the compiled runtime behind at its end, which later starts are quicker by', () => {
    bench.ended(bench.started(instance(volume())))
    const [version = ''] = readdirSync(join(bench.layout.stateDir, 'compiled'))
    expect(readdirSync(join(bench.layout.stateDir, 'compiled', version))).toHaveLength(1)
  })

  test('stays read-only when asked', () => {
    const container = bench.started(instance(volume(), { readonly: true }))
    expect(bench.exec(container, 'touch', '/foo').stderr).toContain('Read-only file system')
    bench.ended(container)
  })

  test('without an overlay has a throw-away one', () => {
    const ephemeral = join(bench.dir, `ephemeral-${count++}`)
    mkdirSync(ephemeral)
    const destination = '/.lamina/ephemeral'
    const container = bench.container({ mounts: [{ destination, source: ephemeral }] })
    bench.ticket(container.podUID, { ephemeral: { mountPath: destination } })
    bench.started(container)
    expect(bench.exec(container, 'sh', '-c', 'echo x > /foo; cat /foo').stdout).toBe('x\n')
    bench.ended(container)
    const again = bench.started(
      bench.container({ podUID: container.podUID, mounts: [{ destination, source: ephemeral }] }),
    )
    expect(bench.exec(again, 'ls', '/foo').exitCode).not.toBe(0)
    bench.ended(again)
  })
})

describe('who the process is', () => {
  const base = (passwd: string) => {
    const [users, groups] = [join(bench.dir, `passwd-${count}`), join(bench.dir, `group-${count++}`)]
    writeFileSync(users, passwd)
    writeFileSync(groups, 'root:x:0:\nworker:x:4711:\ncrew:x:4800:worker\n')
    const entries = [`file /etc/passwd 0644 0 0 ${users}`, `file /etc/group 0644 0 0 ${groups}`]
    return bench.image(`named-${count++}`, entries)
  }
  const withUser = (ticket: Parameters<RuntimeBench['ticket']>[1], user?: object) => {
    const container = instance(volume(), user ? { user } : {})
    const image = base('root:x:0:0::/:/bin/sh\nworker:x:4711:4711::/:/bin/sh\n')
    bench.ticket(container.podUID, {
      overlays: [overlay],
      image,
      ...ticket,
    })
    return container
  }

  test("a name of the image's is found in the image's own passwd and group, for exec too", () => {
    const container = bench.started(withUser({ user: 'worker', podGroups: [5000] }))
    expect(bench.exec(container, 'id').stdout).toBe(
      'uid=4711(worker) gid=4711(worker) groups=4711(worker),4800(crew),5000\n',
    )
    expect(readFileSync(`/proc/${readFileSync(join(container.bundle, 'pid'), 'utf8')}/status`, 'utf8')).toMatch(
      /^Uid:\s+4711\s/m,
    )
    bench.ended(container)
    nothingIsLeftOf(container)
  })

  test('one that the container runtime had right needs no work at exec', () => {
    const container = bench.started(withUser({ user: '1234:99' }, { uid: 1234, gid: 99, additionalGids: [99] }))
    expect(existsSync(containerPaths(bench.layout, container.id).user)).toBe(false)
    bench.ended(container)
  })

  test.each(['', 'root', '0:4711'])('runAsNonRoot refuses an image that runs as "%s", in words', (user) => {
    const container = withUser({ user, runAsNonRoot: true })
    const { exitCode, stderr } = bench.create(container)
    expect(exitCode).toBe(1)
    expect(stderr).toContain(
      'lamina: the pod has runAsNonRoot, and the image runs as root: set securityContext.runAsUser',
    )
    nothingIsLeftOf(container)
  })

  test('a name that the image does not know is refused in words', () => {
    expect(bench.create(withUser({ user: 'nemo' })).stderr).toContain(
      'runs as user "nemo", which its /etc/passwd does not list',
    )
  })
})

describe('without leave', () => {
  test('nothing is mounted, and what the agent says is told as runc tells its failures', () => {
    const work = volume()
    const container = bench.container({ mounts: [{ destination: mountPath, source: work }] })
    bench.refuse(container.podUID, { reason: 'NotGranted', message: 'the Instance has another pod', final: true })
    const { exitCode, stderr } = bench.create(container)
    expect(exitCode).toBe(1)
    expect(stderr).toBe('lamina: NotGranted: the Instance has another pod\n')
    const line: unknown = JSON.parse(readFileSync(join(container.bundle, 'log.json'), 'utf8').trim())
    expect(line).toEqual({
      level: 'error',
      msg: 'lamina: NotGranted: the Instance has another pod',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    })
    expect(isPathAttached(join(work, 'overlay.img'))).toBe(false)
    nothingIsLeftOf(container)
  }, 10_000)

  test.each([
    ['whose digest leads elsewhere', { reference: 'r@../../evil', digest: '../../evil' }],
    ['whose reference has another digest', { reference: 'r@sha256:0', digest: `sha256:${'0'.repeat(64)}` }],
  ])('a ticket %s is none', (_what, image) => {
    const container = instance(volume())
    bench.ticket(container.podUID, { overlays: [overlay], image })
    expect(bench.create(container)).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('"image"') })
    nothingIsLeftOf(container)
  })

  test('a ticket for a volume that the container does not mount is none', () => {
    const container = bench.container({})
    bench.ticket(container.podUID, { overlays: [overlay] })
    expect(bench.create(container).stderr).toContain(`names a volume at ${mountPath} that the container does not have`)
  })
})

describe('a create that fails', () => {
  test('on our side leaves nothing, and delete is quiet', () => {
    const work = volume()
    editExt3(join(work, 'overlay.img'), 'symlink upper /etc')
    const container = instance(work)
    expect(bench.create(container).stderr).toContain('is or leads through a symbolic link')
    nothingIsLeftOf(container)
    expect(bench.delete(container)).toMatchObject({ exitCode: 0 })
    expect(isPathAttached(join(work, 'overlay.img'))).toBe(false)
  })

  test('for want of the image says so, and what happens next', () => {
    const container = instance(volume())
    const digest = `sha256:${'0'.repeat(64)}`
    bench.ticket(container.podUID, { overlays: [overlay], image: { reference: `r@${digest}`, digest } })
    expect(bench.create(container).stderr).toContain(
      `lamina: image r@${digest} has left the node's cache: the node agent fetches it again`,
    )
    nothingIsLeftOf(container)
  })

  test('leaves its record only until the next: retries do not pile up', () => {
    const work = volume()
    const attempt = (podUID?: string) => {
      const container = instance(work, podUID === undefined ? {} : { podUID })
      bench.ticket(container.podUID, { overlays: [overlay], runAsNonRoot: true })
      expect(bench.create(container).stderr).toContain('runAsNonRoot')
      return container
    }
    const first = attempt()
    for (let retry = 0; retry < 2; retry++) {
      const { id } = attempt(first.podUID)
      expect(readdirSync(podPaths(bench.layout, first.podUID).mounts)).toEqual([`${id}.json`])
    }
  })

  test('for want of its program says what to do; what is mounted over the root is left to runc', () => {
    const refused = (program: string) => bench.create(instance(volume(), { args: [program] })).stderr
    expect(refused('')).toMatch(/^lamina: image \S+ names no program to run: set command/)
    expect(refused('no-such-program')).toMatch(
      /^lamina: image \S+ has no no-such-program in its PATH to run: set command/,
    )
    const container = instance(volume(), { args: ['/.singularity.d/runscript'] })
    expect(bench.create(container).stderr).toMatch(
      /^lamina: image \S+ has no \/\.singularity\.d\/runscript to run: set command of the Instance .*, or entrypoint: Idle/,
    )
    nothingIsLeftOf(container)
    expect(refused('/proc/no-such-program')).not.toContain('lamina:')
  })

  test("on runc's side is cleaned up by the delete that follows", () => {
    const work = volume()
    const container = instance(work, { args: ['/proc/no-such-program'] })
    expect(bench.create(container)).toMatchObject({ exitCode: 1 })
    expect(bench.delete(container)).toMatchObject({ exitCode: 0 })
    nothingIsLeftOf(container)
    expect(bench.releaseOf(container)?.overlays).toMatchObject([{ released: true, figures: { needsRecovery: false } }])
  })
})

describe('a descriptor that lingers elsewhere', () => {
  const holdFile = (container: BenchContainer): number => {
    const pid = readFileSync(join(container.bundle, 'pid'), 'utf8')
    return openSync(`/proc/${pid}/root/etc/passwd`, 'r')
  }

  test('is waited for', async () => {
    const container = bench.started(instance(volume()))
    const held = holdFile(container)
    const holder = spawn('sleep', ['0.7'], { stdio: [held, 'ignore', 'ignore'] })
    closeSync(held)
    bench.kill(container)
    const before = performance.now()
    expect(bench.delete(container).exitCode).toBe(0)
    expect(performance.now() - before).toBeGreaterThan(200)
    expect(bench.releaseOf(container)?.overlays).toMatchObject([{ released: true }])
    holder.kill()
  })

  test('past all patience: there is no release, it is said, and the record stays for the agent', () => {
    const work = volume()
    const container = bench.started(instance(work))
    const held = holdFile(container)
    try {
      bench.kill(container)
      const { exitCode, stderr } = bench.delete(container)
      expect(exitCode).toBe(0)
      expect(stderr).toContain('lamina: overlay "work" is still mounted 8 s after the end of its container')
      expect(bench.releaseOf(container)?.overlays).toEqual([
        { name: 'work', uid: 'overlay-uid', released: false, figures: null },
      ])
      expect(readdirSync(podPaths(bench.layout, container.podUID).mounts)).toEqual([`${container.id}.json`])
      expect(isPathAttached(join(work, 'overlay.img'))).toBe(true)
      nothingIsLeftOf(container)
    } finally {
      closeSync(held)
    }
  }, 20_000)
})

describe('other containers', () => {
  test('pass through untouched and wait for nobody', () => {
    const container = bench.container({ name: 'sidecar', mounts: [{ destination: mountPath, source: volume() }] })
    const before = readFileSync(join(container.bundle, 'config.json'), 'utf8')
    const { stderr } = bench.create(container)
    expect(stderr).not.toContain('lamina')
    expect(readFileSync(join(container.bundle, 'config.json'), 'utf8')).toBe(before)
  })

  test('prepare keeps its root, loses the volumes, sees the progress, and tells where the volumes are', () => {
    const container = bench.container({ name: 'prepare', mounts: [{ destination: mountPath, source: '/kubelet/v0' }] })
    bench.create(container)
    const config = readFileSync(join(container.bundle, 'config.json'), 'utf8')
    const { progress, volumes } = podPaths(bench.layout, container.podUID)
    expect(config).toContain(`"destination":"/.lamina/progress","type":"bind","source":"${progress}"`)
    expect(config).not.toContain(mountPath)
    expect(config).toContain(join(bench.dir, 'placeholder'))
    expect(readJson(volumes, volumesSchema)).toEqual({ volumes: [{ mountPath, source: '/kubelet/v0' }], devices: [] })
  })

  test('other subcommands are runc’s', () => {
    expect(JSON.parse(bench.run('list', '--format', 'json').stdout || 'null')).toEqual(null)
    expect(bench.run('state', 'nobody')).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('does not exist'),
    })
    expect(bench.run('delete', 'nobody')).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('does not exist'),
    })
  })
})
