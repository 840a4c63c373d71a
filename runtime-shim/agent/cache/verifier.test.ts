import { closeSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { silentLog } from '../../../kube/testing/silent-log.ts'
import { currentBootID } from '../../node/boot.ts'
import type { NodeLayout } from '../../node/layout.ts'
import type { Entry } from './entry.ts'
import { makeLayout, plant, removeLayout } from './testing/plant.ts'
import { createVerifier } from './verifier.ts'

const digestOf = (letter: string) => `sha256:${letter.repeat(64)}`
const content = Buffer.alloc(3 * 2 ** 20, 7)

let layout: NodeLayout
beforeEach(() => {
  layout = makeLayout()
})
afterEach(() => removeLayout(layout))

const flipByte = ({ file }: Entry): void => {
  const fd = openSync(file, 'r+')
  writeSync(fd, Buffer.from([8]), 0, 1, 2 ** 20 + 5)
  closeSync(fd)
}

const create = (bytesPerSecond = Number.POSITIVE_INFINITY) => {
  const condemned: { digest: string; what: string }[] = []
  let now = 0
  const verifier = createVerifier({
    ...{ layout, log: silentLog, bytesPerSecond, clock: { now: () => new Date(now) } },
    images: { condemn: (digest, what) => condemned.push({ digest, what }) },
  })
  return { verifier, condemned, pass: (ms: number) => (now += ms) }
}
const forever = () => new AbortController().signal

describe('in the background', () => {
  test('a byte that differs is found; what is as it was made is noted for this boot', async () => {
    const [good, bad] = [plant(layout, digestOf('a'), content), plant(layout, digestOf('b'), content)]
    flipByte(bad)
    const { verifier, condemned } = create()
    await verifier.run(forever())
    expect(condemned).toEqual([
      { digest: digestOf('b'), what: expect.stringMatching(/^its bytes have sha256:\w{64}, and had sha256:\w{64}$/) },
    ])
    expect(readFileSync(good.verified, 'utf8')).toBe(currentBootID())
  })

  test('the last used come first, and those of this boot not again', async () => {
    const hour = 3_600_000
    for (const [letter, hours] of Object.entries({ a: 3, b: 1, c: 2 }))
      flipByte(plant(layout, digestOf(letter), content, hours * hour))
    const { verifier, condemned } = create()
    plant(layout, digestOf('d'), content)
    await verifier.run(forever())
    expect(condemned.map(({ digest }) => digest.slice(7, 8))).toEqual(['b', 'c', 'a'])
    condemned.splice(0)
    const { verifier: another, condemned: again } = create()
    for (const letter of ['a', 'b', 'c']) plant(layout, digestOf(letter), content)
    // As a loss of power could not: within one boot nobody looks again.
    flipByte(plant(layout, digestOf('d'), content))
    await another.run(forever())
    expect(again).toEqual([])
  })

  test('goes no faster than it may', async () => {
    plant(layout, digestOf('a'), content)
    const started = performance.now()
    await create(10 * 2 ** 20).verifier.run(forever())
    expect(performance.now() - started).toBeGreaterThan(250)
  })

  test('stops with the agent', async () => {
    plant(layout, digestOf('a'), content)
    const { verifier, condemned } = create(2 ** 20)
    const started = performance.now()
    await verifier.run(AbortSignal.timeout(50))
    expect(performance.now() - started).toBeLessThan(900)
    expect(condemned).toEqual([])
  })
})

describe('an image whose mount has failed', () => {
  test('is looked at again, though it was verified', async () => {
    const entry = plant(layout, digestOf('a'), content)
    const { verifier, condemned } = create()
    await verifier.run(forever())
    flipByte(entry)
    verifier.accuse(digestOf('a'))
    await vi.waitFor(() => expect(condemned).toHaveLength(1), 5_000)
  })

  test('is not looked at again each time that the kubelet tries', async () => {
    const entry = plant(layout, digestOf('a'), content)
    flipByte(entry)
    const { verifier, condemned, pass } = create()
    verifier.accuse(digestOf('a'))
    verifier.accuse(digestOf('a'))
    await vi.waitFor(() => expect(condemned).toHaveLength(1), 5_000)
    pass(600_000)
    verifier.accuse(digestOf('a'))
    await vi.waitFor(() => expect(condemned).toHaveLength(2), 5_000)
  })

  test('may be gone', async () => {
    rmSync(plant(layout, digestOf('a'), content).dir, { recursive: true })
    const { verifier, condemned } = create()
    verifier.accuse(digestOf('a'))
    await verifier.run(forever())
    expect(condemned).toEqual([])
  })
})
