import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, existsSync, openSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  attachBlockDevice,
  type BlockDevice,
  makeDirectoryOverlay,
  makeExt3,
  makeVolume,
} from '../../test/node/images.ts'
import {
  type BenchContainer,
  createRuntimeBench,
  type RuntimeBench,
  withBlockVolume,
} from '../../test/node/runtime-bench.ts'
import { isClaimed } from '../mount/device.ts'
import { lockImage } from '../mount/lock.ts'
import { attachedFiles } from '../mount/loop.ts'
import { flock, lockKind } from '../mount/syscalls.ts'
import { retrySync } from '../mount/wait.ts'
import { containerPaths, installedPaths, podPaths, rootPath } from '../node/layout.ts'
import type { TicketInput } from '../node/ticket.ts'

let bench: RuntimeBench
beforeAll(async () => {
  bench = await createRuntimeBench()
}, 60_000)
afterAll(() => bench.close())

/** runc may have to wait for a cgroup, and says so. */
const quietly = { exitCode: 0, stderr: expect.not.stringMatching(/^lamina:/m) }

const mountPath = '/.lamina/overlays/0'
const overlay = { name: 'work', uid: 'work-uid', access: 'ReadWrite', mountPath } as const

/** An overlay of some form, with a pod of its own, whose container is created again and again. */
interface Subject {
  container(): BenchContainer
  /** @throws while anything has it */
  assertFree(): void
}

const onVolume = (directory: string, file: string, form: Partial<TicketInput['overlays'][number]> = {}): Subject => {
  const path = join(directory, file)
  const podUID = randomUUID()
  bench.ticket(podUID, { overlays: [{ ...overlay, ...form }] })
  return {
    container: () => bench.container({ podUID, mounts: [{ destination: mountPath, source: directory }] }),
    assertFree: () => {
      expect(attachedFiles().map((attached) => attached.path)).not.toContain(path)
      const fd = openSync(path, 'r+')
      try {
        lockImage(fd, 'exclusive', path)
      } finally {
        closeSync(fd)
      }
    },
  }
}

const imageSubject = (): Subject => onVolume(makeVolume(join(bench.dir, 'image')), 'overlay.img')

const directorySubject = (): Subject => {
  const directory = makeDirectoryOverlay(join(bench.dir, 'directory'), installedPaths(bench.layout).skeleton)
  return onVolume(directory, 'lock.squashfs', { format: 'Directory', path: '.' })
}

const blockSubject = (device: BlockDevice): Subject => {
  const podUID = randomUUID()
  bench.ticket(podUID, { overlays: [{ ...overlay, volumeMode: 'Block' }] })
  return {
    container: () => {
      const { mount, change } = withBlockVolume(bench.dir, podUID, mountPath, device)
      return bench.container({ podUID, mounts: [mount], change })
    },
    assertFree: () => {
      const fd = openSync(device.mapPath, 'r')
      try {
        expect(isClaimed(fd)).toBe(false)
      } finally {
        closeSync(fd)
      }
    },
  }
}

const isTicketFree = (podUID: string): boolean => {
  const fd = openSync(podPaths(bench.layout, podUID).ticket, 'r')
  try {
    flock(fd, lockKind.exclusive, { wait: false })
    return true
  } catch {
    return false
  } finally {
    closeSync(fd)
  }
}

const run = (subcommand: string, { id, bundle }: BenchContainer): ChildProcess => {
  const options = { create: ['--bundle', bundle, '--pid-file', join(bundle, 'pid')], delete: ['--force'] }
  const args = [
    '--root',
    join(bench.dir, 'runc'),
    subcommand,
    ...(subcommand === 'create' ? options.create : options.delete),
    id,
  ]
  return spawn(installedPaths(bench.layout).launcher, args, { stdio: 'ignore', env: bench.env })
}

const isAlive = (pid: number): boolean => {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}

/** Kills the process, without a pause for it to go on, as soon as the condition holds; false when it had ended before that. */
const killWhen = (child: ChildProcess, condition: (pid: number) => boolean): boolean => {
  const pid = child.pid ?? 0
  while (isAlive(pid)) {
    if (!condition(pid)) continue
    process.kill(pid, 'SIGKILL')
    return true
  }
  return false
}

const after = (ms: number) => {
  const started = performance.now()
  return () => performance.now() - started > ms
}

const ended = async (child: ChildProcess): Promise<void> => {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
}

const mountsOf = (pid: number): string => {
  try {
    return readFileSync(`/proc/${pid}/mountinfo`, 'utf8')
  } catch {
    return ''
  }
}

const programOf = (pid: number): string => {
  try {
    return readlinkSync(`/proc/${pid}/exe`)
  } catch {
    return ''
  }
}

const contains = (file: string, text: string): boolean => existsSync(file) && readFileSync(file, 'utf8').includes(text)
const recordFile = ({ podUID, id }: BenchContainer): string => join(podPaths(bench.layout, podUID).mounts, `${id}.json`)

/** The steps of `create`, by what shows from outside that each is done. */
const steps: [string, (container: BenchContainer) => (pid: number) => boolean][] = [
  ['the launcher runs', () => () => true],
  ['Node runs', () => (pid) => programOf(pid).endsWith('ld.so')],
  [
    'the ticket is held',
    ({ podUID }) =>
      () =>
        !isTicketFree(podUID),
  ],
  ['the record is there', (container) => () => existsSync(recordFile(container))],
  [
    'its link is there',
    ({ id }) =>
      () =>
        existsSync(containerPaths(bench.layout, id).mount),
  ],
  [
    'the host’s directory is there',
    ({ id }) =>
      () =>
        existsSync(rootPath(bench.layout, id)),
  ],
  ['the namespace is its own', () => (pid) => mountsOf(pid).includes(`${bench.layout.stateDir}/roots `)],
  ['the base is mounted', () => (pid) => mountsOf(pid).includes('/roots/base ')],
  ['the overlay image is attached', () => () => attachedFiles().some(({ path }) => path.endsWith('image/overlay.img'))],
  ['the overlay image is mounted', () => (pid) => mountsOf(pid).includes('- ext4 /dev/loop')],
  ['the root is mounted', () => (pid) => mountsOf(pid).includes('- overlay lamina ')],
  ['the loop device is on record', (container) => () => contains(recordFile(container), '"diskseq"')],
  [
    'the bundle is changed',
    ({ bundle, id }) =>
      () =>
        contains(join(bundle, 'config.json'), `roots/${id}`),
  ],
  ['it has become runc', () => (pid) => programOf(pid).endsWith('/runc')],
  [
    'runc has its state',
    ({ id }) =>
      () =>
        existsSync(join(bench.dir, 'runc', id, 'state.json')),
  ],
  [
    'runc has told the pid',
    ({ bundle }) =>
      () =>
        existsSync(join(bundle, 'pid')),
  ],
]

/** What containerd does after a create that failed; then nothing may be left, and the next create must work. */
const expectNothingLeft = (subject: Subject, container: BenchContainer): void => {
  expect(isTicketFree(container.podUID)).toBe(true)
  bench.delete(container)
  retrySync(subject.assertFree, () => true, { forMs: 3_000, everyMs: 2 })
}

const expectNextWorks = (subject: Subject): void => {
  const next = bench.started(subject.container())
  expect(bench.ended(next)).toMatchObject(quietly)
  expect(readdirSync(join(bench.layout.stateDir, 'containers'))).toEqual([])
  expect(readdirSync(join(bench.layout.stateDir, 'roots'))).toEqual([])
  expect(readdirSync(podPaths(bench.layout, next.podUID).mounts)).toEqual([])
}

describe('kill -9 of create', () => {
  let subject: Subject
  beforeAll(() => {
    subject = imageSubject()
  })

  test.each(steps)(
    'once %s: leaves no mount, no loop device, no lock, and the next create works',
    async (_step, condition) => {
      let kills = 0
      for (let round = 0; round < 3; round++) {
        const container = subject.container()
        const child = run('create', container)
        if (killWhen(child, condition(container))) kills++
        await ended(child)
        expectNothingLeft(subject, container)
      }
      expect(kills).toBeGreaterThan(0)
      expectNextWorks(subject)
    },
    30_000,
  )

  /** With 20 kills for each. */
  const byChance = async (made: Subject): Promise<void> => {
    for (let round = 0; round < 20; round++) {
      const container = made.container()
      const child = run('create', container)
      killWhen(child, after(Math.random() * 120))
      await ended(child)
      expectNothingLeft(made, container)
    }
    expectNextWorks(made)
  }

  test('of an image, at any moment', () => byChance(subject), 60_000)

  test('of a directory, at any moment', () => byChance(directorySubject()), 60_000)

  test('of a block volume, at any moment', async () => {
    const device = attachBlockDevice(makeExt3(join(bench.dir, 'disk')))
    try {
      await byChance(blockSubject(device))
    } finally {
      device.detach()
    }
  }, 60_000)
})

describe('kill -9 of what comes after create', () => {
  test('of delete, at any moment: the next delete ends it, and the next create works', async () => {
    const subject = onVolume(makeVolume(join(bench.dir, 'deleted')), 'overlay.img')
    for (let round = 0; round < 12; round++) {
      const container = bench.started(subject.container())
      bench.kill(container)
      const child = run('delete', container)
      killWhen(child, after(Math.random() * 80))
      await ended(child)
      expectNothingLeft(subject, container)
    }
    expectNextWorks(subject)
  }, 60_000)

  test("of the container's first process: the kernel lets go of all, before anybody has said `delete`", () => {
    const subject = onVolume(makeVolume(join(bench.dir, 'init')), 'overlay.img')
    const container = bench.started(subject.container())
    process.kill(Number(readFileSync(join(container.bundle, 'pid'), 'utf8')), 'SIGKILL')
    retrySync(subject.assertFree, () => true, { forMs: 3_000, everyMs: 2 })
    expect(bench.delete(container)).toMatchObject(quietly)
    expectNextWorks(subject)
  })
})
