import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { makeVolume } from '../../test/node/images.ts'
import { type BenchContainer, createRuntimeBench, type RuntimeBench } from '../../test/node/runtime-bench.ts'
import { lockImage } from '../mount/lock.ts'
import { podPaths } from '../node/layout.ts'
import { parseArguments } from './args.ts'
import { create } from './create.ts'

let bench: RuntimeBench
beforeAll(async () => {
  bench = await createRuntimeBench()
}, 60_000)
afterAll(() => bench.close())

type Access = 'ReadWrite' | 'ReadOnly'

const mountPath = '/.lamina/overlays/0'
const ephemeralPath = '/.lamina/ephemeral'
let count = 0
const volume = () => makeVolume(join(bench.dir, `volume-${count++}`))

/** The container of the instance `team/<name>` with the overlay in the volume. */
const container = (name: string, directory: string, access: Access, podUID?: string): BenchContainer => {
  const ephemeral = join(bench.dir, `ephemeral-${count++}`)
  mkdirSync(ephemeral)
  const made = bench.container({
    ...(podUID === undefined ? {} : { podUID }),
    mounts: [
      { destination: mountPath, source: directory },
      { destination: ephemeralPath, source: ephemeral },
    ],
  })
  bench.ticket(made.podUID, {
    pod: { namespace: 'team', name, uid: made.podUID },
    instance: { name, uid: `${name}-uid` },
    overlays: [{ name: 'work', uid: directory, access, mountPath }],
    ephemeral: access === 'ReadOnly' ? { mountPath: ephemeralPath } : null,
  })
  return made
}

/** What `create` says when it has waited a little, instead of half a minute. */
const refusal = ({ id, bundle }: BenchContainer): string => {
  const waits = { ticketMs: 100, finalMs: 100, lockMs: 20, totalMs: 200 }
  try {
    create(bench.layout, parseArguments(['create', '--bundle', bundle, id]), new Date(), waits)
  } catch (error) {
    return error instanceof Error ? error.message : ''
  }
  throw new Error('it was created')
}

const sinceOf = (holder: BenchContainer): string | undefined => bench.recordOf(holder)?.createTime

describe('who must wait is told who has the overlay, how, where and since when', () => {
  test.each<Access>(['ReadWrite', 'ReadOnly'])('a writer has it, another wants it %s', (access) => {
    const work = volume()
    const holder = bench.started(container('alice', work, 'ReadWrite'))
    expect(refusal(container('bob', work, access))).toBe(
      `overlay "work" is in use: instance team/alice has it for writing on this node since ${sinceOf(holder)}`,
    )
    bench.ended(holder)
  })

  test('readers have it: the one who has had it longest, and how many more', () => {
    const work = volume()
    // An image that nobody has written on yet is no layer, and nobody keeps it.
    bench.ended(bench.started(container('alice', work, 'ReadWrite')))
    const first = bench.started(container('alice', work, 'ReadOnly'))
    const second = bench.started(container('carol', work, 'ReadOnly'))
    const writer = container('bob', work, 'ReadWrite')
    const says = (who: string) =>
      `overlay "work" is in use: instance team/${who} has it for reading on this node since `
    expect(refusal(writer)).toBe(`${says('alice')}${sinceOf(first)}, and 1 more`)
    bench.ended(first)
    expect(refusal(writer)).toBe(`${says('carol')}${sinceOf(second)}`)
    bench.ended(second)
  })

  test('an earlier container of the own pod, which nobody has ended because its shim was killed, is ended for the next', () => {
    const work = volume()
    const first = bench.started(container('alice', work, 'ReadWrite'))
    const next = bench.started(container('alice', work, 'ReadWrite', first.podUID))
    expect(bench.exec(first, 'true').exitCode).not.toBe(0)
    bench.ended(next)
    bench.delete(first)
  })

  test('a record of an earlier version names the pod at least', () => {
    const work = volume()
    const holder = bench.started(container('alice', work, 'ReadWrite'))
    const file = join(podPaths(bench.layout, holder.podUID).mounts, `${holder.id}.json`)
    const { instance: _, ...older } = JSON.parse(readFileSync(file, 'utf8'))
    writeFileSync(file, JSON.stringify(older))
    expect(refusal(container('bob', work, 'ReadWrite'))).toContain(`pod ${holder.podUID} has it for writing`)
    bench.ended(holder)
  })

  test('somebody without a record has it: the file at least', () => {
    const work = volume()
    const path = join(work, 'overlay.img')
    const fd = openSync(path, 'r+')
    try {
      lockImage(fd, 'exclusive', path)
      expect(refusal(container('bob', work, 'ReadWrite'))).toBe(
        'overlay "work": overlay.img in its volume is in use by another mount on this node',
      )
    } finally {
      closeSync(fd)
    }
  })
})
