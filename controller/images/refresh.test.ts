import { describe, expect, test } from 'vitest'
import type { ContainerImage } from '../../crds/container-image.ts'
import { createAttempts } from '../../kube/attempts.ts'
import { keyOf } from '../../kube/resource.ts'
import { createManualClock } from '../../kube/testing/manual-clock.ts'
import { digestOf, genImage, genResolved } from '../../test/gen/objects.ts'
import { conditionOf } from '../conditions.ts'
import { createGate, look } from './look.ts'
import { createRefreshSchedule, isMovable, nextTurn } from './refresh.ts'
import type { Finding } from './resolve.ts'
import { sourceHashOf } from './source-hash.ts'
import { statusAfter } from './status.ts'
import { createUntold } from './untold.ts'

const hour = 3_600_000
const tag = { registry: { image: 'registry.example/debian:12' } }
const everyHour = { source: tag, refresh: { policy: 'Interval', periodSeconds: 3600 } }
const found = (letter: string): Finding => ({
  kind: 'resolved',
  resolved: { ...genResolved(letter), resolveTime: '2026-02-02T00:00:00Z' },
})
const down: Finding = { kind: 'failed', reason: 'RegistryUnreachable', message: 'no answer' }

/** An image that a controller keeps, pass after pass, while the registry says what the test wants. */
const kept = (spec: object = everyHour, { places = 2, uid = 'uid-debian' } = {}) => {
  const clock = createManualClock()
  const looks: number[] = []
  let image = genImage('debian', { spec, metadata: { uid } })
  image = genImage('debian', {
    spec,
    metadata: { uid },
    status: { observedGeneration: 1, resolved: { ...genResolved(), sourceHash: sourceHashOf(image.spec) } },
  })
  let answer = found('a')
  let isWritable = true
  const looking = {
    find: async ({ spec: asked }: ContainerImage): Promise<Finding> => {
      looks.push(clock.now().getTime())
      if (answer.kind !== 'resolved') return answer
      return { kind: 'resolved', resolved: { ...answer.resolved, sourceHash: sourceHashOf(asked) } }
    },
    refusalOf: () => undefined,
    attempts: createAttempts(clock),
    schedule: createRefreshSchedule(clock),
    untold: createUntold(clock),
    refreshing: createGate(places),
  }
  const pass = async (): Promise<number | undefined> => {
    const { finding, refresh, requeueAfterMs } = await look(looking, image)
    if (!finding) return requeueAfterMs
    const status = statusAfter(image, { finding, refresh, prefetch: { kind: 'none' } }, clock.now())
    if (!isWritable) return 0
    looking.untold.forget(keyOf(image))
    const isNews = JSON.stringify(status) !== JSON.stringify(image.status)
    image = { ...image, status }
    // A write comes back as an event.
    return isNews ? 0 : requeueAfterMs
  }
  return {
    clock,
    looks,
    looking,
    pass,
    says: (finding: Finding): void => {
      answer = finding
    },
    refuseWrites: (are: boolean): void => {
      isWritable = !are
    },
    edit: (to: object): void => {
      image = genImage('debian', { spec: to, metadata: { uid, generation: 2 }, status: image.status })
    },
    annotate: (token: string): void => {
      image = { ...image, metadata: { ...image.metadata, annotations: { 'lamina.dev/refresh-requested': token } } }
    },
    image: () => image,
    status: () => image.status,
    refreshed: () => conditionOf(image.status.conditions, 'Refreshed'),
    /** As the work queue does: whenever a pass has asked for another. */
    run: async (ms: number): Promise<void> => {
      const end = clock.now().getTime() + ms
      for (;;) {
        const wait = (await pass()) ?? Number.POSITIVE_INFINITY
        if (clock.now().getTime() + wait > end) break
        await clock.advance(wait)
      }
      await clock.advance(end - clock.now().getTime())
    },
  }
}

describe('a tag is looked up', () => {
  test('once in every period, by a clock of its own, and nothing is written while it stays the same', async () => {
    const { run, looks, status } = kept()
    await run(0)
    const before = status()
    await run(24 * hour)
    expect(looks).toHaveLength(24)
    expect(new Set(looks.map((at) => at % hour)).size).toBe(1)
    expect(status()).toEqual(before)
  })

  test('once, where no refresh is asked for', async () => {
    const { run, looks, refreshed } = kept({ source: tag })
    await run(48 * hour)
    expect(looks).toEqual([])
    expect(refreshed()).toMatchObject({ status: 'False', reason: 'NotAsked' })
  })

  test('at the same times by a controller that has just begun, which has nothing to catch up with', async () => {
    const first = kept()
    await first.run(10 * hour)
    const second = kept()
    await second.clock.advance(4.5 * hour)
    const restarted = { ...second.looking, schedule: createRefreshSchedule(second.clock) }
    const { refresh } = await look(restarted, second.image())
    expect(refresh.kind).toBe('notDue')
    await second.run(5.5 * hour)
    expect(first.looks).toEqual(expect.arrayContaining(second.looks.slice(1)))
  })

  test('and instances get the digest that it has come to stand for, with the time', async () => {
    const { run, says, status } = kept()
    says(found('b'))
    await run(hour)
    expect(status().resolved).toMatchObject({ digest: digestOf('b'), resolveTime: '2026-02-02T00:00:00Z' })
  })
})

describe('a registry that does not answer', () => {
  test('takes nothing back: the digest stays, the image is Ready, and the condition says why', async () => {
    const { run, says, status, refreshed } = kept()
    says(down)
    await run(hour)
    expect(status().resolved).toMatchObject({ digest: digestOf('a') })
    expect(conditionOf(status().conditions, 'Ready')).toMatchObject({ status: 'True' })
    expect(refreshed()).toMatchObject({ status: 'False', reason: 'RegistryUnreachable' })
    expect(refreshed()?.message).toContain('the digest found at 2026-01-01T00:00:00Z stays: no answer')
  })

  test('is asked again every ten minutes, until it answers', async () => {
    const { run, says, looks, refreshed } = kept({
      ...everyHour,
      refresh: { policy: 'Interval', periodSeconds: 86_400 },
    })
    says(down)
    await run(24 * hour)
    expect(looks.length).toBeGreaterThan(1)
    expect(new Set(looks.slice(2).map((at, index) => at - (looks[index + 1] ?? 0)))).toEqual(new Set([600_000]))
    says(found('a'))
    await run(600_000)
    expect(refreshed()).toMatchObject({ status: 'True', reason: 'LookedUp' })
  })

  test('does not take the places of images that are looked up for the first time', async () => {
    const { looking, clock, pass } = kept(everyHour, { places: 0 })
    await pass()
    await clock.advance(2 * hour)
    expect(await pass()).toBe(2_000)
    const fresh = genImage('fresh', { status: {} })
    expect(await look(looking, fresh)).toMatchObject({ refresh: { kind: 'looked' } })
  })
})

describe('what was found while the status could not be written', () => {
  const lost = async (answer: Finding) => {
    const image = kept()
    await image.run(0)
    await image.clock.advance(hour)
    image.says(answer)
    image.refuseWrites(true)
    await image.pass()
    image.refuseWrites(false)
    return image
  }

  test.each<[string, Finding, object]>([
    ['a digest', found('b'), { status: 'True', reason: 'LookedUp' }],
    ['that it failed', down, { status: 'False', reason: 'RegistryUnreachable' }],
  ])('is told by the next pass, without another request: %s', async (_, answer, expected) => {
    const { pass, looks, refreshed, status } = await lost(answer)
    await pass()
    expect(looks).toHaveLength(1)
    expect(refreshed()).toMatchObject(expected)
    expect(status().resolved?.digest).toBe(digestOf(answer.kind === 'resolved' ? 'b' : 'a'))
  })

  test('is told once: the next turn asks again', async () => {
    const { pass, run, says, looks, status } = await lost(found('b'))
    await pass()
    says(found('c'))
    await run(hour)
    expect(looks).toHaveLength(2)
    expect(status().resolved?.digest).toBe(digestOf('c'))
  })

  test('says nothing of another source, nor does it answer a later request', async () => {
    const edited = await lost(found('b'))
    edited.edit({ ...everyHour, source: { registry: { image: 'registry.example/debian:13' } } })
    await edited.pass()
    expect(edited.looks).toHaveLength(2)
    const asked = await lost(found('b'))
    asked.annotate('now')
    await asked.pass()
    expect(asked.looks).toHaveLength(2)
  })

  test('stays of use when something else of the spec has changed, which is why the write failed', async () => {
    const { edit, pass, looks, status } = await lost(found('b'))
    edit({ ...everyHour, prefetch: {} })
    await pass()
    expect(looks).toHaveLength(1)
    expect(status().resolved?.digest).toBe(digestOf('b'))
  })
})

describe('a request', () => {
  test('has it looked up at once, once for each token, which status repeats', async () => {
    const { pass, annotate, looks, status } = kept({ source: tag })
    annotate('commit-1')
    await pass()
    await pass()
    expect(looks).toHaveLength(1)
    expect(status().handledRefreshRequest).toBe('commit-1')
    annotate('commit-2')
    await pass()
    expect(looks).toHaveLength(2)
  })

  test('that fails is met again later', async () => {
    const { pass, run, annotate, says, looks, refreshed } = kept({ source: tag })
    annotate('now')
    says(down)
    await pass()
    expect(refreshed()).toMatchObject({ status: 'False', reason: 'RegistryUnreachable' })
    says(found('b'))
    await run(600_000)
    expect(looks).toHaveLength(2)
    expect(refreshed()).toMatchObject({ status: 'False', reason: 'NotAsked' })
  })

  test('does not wait until a failed first look is tried again', async () => {
    const { looking } = kept({ source: tag })
    const image = genImage('other', { status: {} })
    const failing = { ...looking, find: async () => down }
    await look(failing, image)
    looking.untold.forget(keyOf(image))
    expect(await look(failing, image)).toMatchObject({ finding: undefined })
    const metadata = { ...image.metadata, annotations: { 'lamina.dev/refresh-requested': 'now' } }
    expect(await look(looking, { ...image, metadata })).toMatchObject({ finding: { kind: 'resolved' } })
  })

  test('for what cannot change is met without a look', async () => {
    const { pass, annotate, looks, status } = kept({ source: { registry: { image: `x@${digestOf('a')}` } } })
    annotate('now')
    await pass()
    expect(looks).toEqual([])
    expect(status().handledRefreshRequest).toBe('now')
  })

  test('of any length is met', async () => {
    const { pass, annotate, looks, status } = kept({ source: tag })
    annotate('x'.repeat(1000))
    await pass()
    await pass()
    expect(looks).toHaveLength(1)
    expect(status().handledRefreshRequest).toHaveLength(256)
  })
})

describe('what can come to stand for another image', () => {
  const sha256 = 'a'.repeat(64)
  test.each<[boolean, string, object]>([
    [true, 'a tag', tag],
    [true, 'a name without a tag', { registry: { image: 'debian' } }],
    [false, 'a digest', { registry: { image: `debian@${digestOf('a')}` } }],
    [false, 'a tag and a digest', { registry: { image: `debian:12@${digestOf('a')}` } }],
    [true, "an artifact's tag", { file: { url: 'oras://registry.example/tools:1' } }],
    [false, "an artifact's digest", { file: { url: `oras://registry.example/tools@${digestOf('a')}` } }],
    [false, 'an artifact with the sum of its file', { file: { url: 'oras://registry.example/tools:1', sha256 } }],
    [false, 'a file from a web server', { file: { url: 'https://files.example/a.sif', sha256 } }],
    [false, 'a place on a volume', { volume: { claimName: 'images' } }],
  ])('%s: %s', (expected, _, source) => {
    expect(isMovable(genImage('tools', { spec: { source } }).spec)).toBe(expected)
  })

  test('what cannot says so', async () => {
    const pinned = { registry: { image: `debian@${digestOf('a')}` } }
    const { run, looks, refreshed } = kept({ ...everyHour, source: pinned })
    await run(10 * hour)
    expect(looks).toEqual([])
    expect(refreshed()).toMatchObject({ status: 'True', reason: 'Pinned' })
  })
})

test('a thousand images have their turns all over the period', () => {
  const inTenths = Array.from({ length: 1000 }, (_, index) => nextTurn(`uid-${index}`, hour, 0))
    .map((at) => Math.floor(((at % hour) / hour) * 10))
    .reduce((counts, tenth) => counts.with(tenth, (counts[tenth] ?? 0) + 1), new Array<number>(10).fill(0))
  expect(Math.min(...inTenths)).toBeGreaterThan(60)
  expect(Math.max(...inTenths)).toBeLessThan(140)
})
