import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { systemClock } from '../../../kube/clock.ts'
import { createLogger } from '../../../kube/log.ts'
import { CacheFullError } from '../../image/errors.ts'
import type { NodeLayout } from '../../node/layout.ts'
import { bytesOf, bytesUnderWay, contentsOf } from './contents.ts'
import type { FetchImage } from './make.ts'
import { createNodeCache } from './node-cache.ts'
import { unobserved } from './observer.ts'
import { bringBytes, digestOf, forever, wanted } from './testing/images.ts'
import { makeLayout, removeLayout } from './testing/plant.ts'

let layout: NodeLayout
beforeEach(() => {
  layout = makeLayout()
})
afterEach(() => removeLayout(layout))

test('prefetches at once, of whatever kind, keep to the size of the cache together', async () => {
  let most = 0
  const fetch: FetchImage = async ({ target, room }) => {
    if (room.most < 10) throw new CacheFullError({ needed: 10, most: room.most })
    const brought = await bringBytes(target, Buffer.alloc(10))
    await sleep(20)
    most = Math.max(most, bytesOf(contentsOf(layout)) + bytesUnderWay(layout))
    return brought
  }
  const { images } = createNodeCache({
    ...{ layout, fetch, clock: systemClock, observer: unobserved, log: createLogger('test', 'error') },
    limits: { maxBytes: 15, highPercent: 100, lowPercent: 100 },
  })
  const file = { reference: `https://host/file@${digestOf('b')}`, beforehand: true }
  const outcomes = await Promise.allSettled([
    images.ensure(wanted('a', { beforehand: true }), forever),
    images.ensure(wanted('b', file), forever),
  ])
  expect(outcomes).toMatchObject([{ status: 'fulfilled' }, { reason: { reason: 'ImageNoSpace' } }])
  expect(most).toBe(10)
})
