import { expect, test } from 'vitest'
import { createManualClock } from '../../kube/testing/manual-clock.ts'
import { genClaim } from '../../test/gen/objects.ts'
import { createClaimTroubles } from './claim-troubles.ts'

const claim = (uid: string, namespace = 'team') => genClaim('lamina-work', { metadata: { uid, namespace } })

interface Warning {
  uid: string
  message: string
  lastTimestamp?: string
}

/** What a namespace's Events say, and whose have been listed. */
const world = (warnings: Warning[], { failures = 0 } = {}) => {
  const listed: string[] = []
  const clock = createManualClock()
  const client = {
    list: async <T>(resource: { parse(json: unknown): T }, { namespace = '' } = {}) => {
      listed.push(namespace)
      if (listed.length <= failures) throw new Error('no answer')
      return warnings.map(({ uid, ...rest }) =>
        resource.parse({ metadata: { name: 'e' }, involvedObject: { uid }, ...rest }),
      )
    },
  }
  return { listed, clock, troubles: createClaimTroubles({ client, clock }) }
}

test('the last words of a claim count, and nobody else’s', async () => {
  const { troubles } = world([
    { uid: 'a', message: 'last', lastTimestamp: '2026-01-01T00:00:02Z' },
    { uid: 'a', message: 'first', lastTimestamp: '2026-01-01T00:00:01Z' },
    { uid: 'b', message: 'other', lastTimestamp: '2026-01-01T00:00:03Z' },
  ])
  expect(await Promise.all([troubles(claim('a')), troubles(claim('b')), troubles(claim('c'))])).toEqual([
    'last',
    'other',
    undefined,
  ])
})

test('a list that failed is not shared with those who come later', async () => {
  const { troubles } = world([{ uid: 'a', message: 'words' }], { failures: 1 })
  await expect(troubles(claim('a'))).rejects.toThrow('no answer')
  expect(await troubles(claim('a'))).toBe('words')
})

test('the claims of a namespace share a list for five seconds', async () => {
  const { troubles, clock, listed } = world([])
  await Promise.all([troubles(claim('a')), troubles(claim('b')), troubles(claim('c', 'elsewhere'))])
  await clock.advance(4_999)
  await troubles(claim('d'))
  expect(listed).toEqual(['team', 'elsewhere'])
  await clock.advance(1)
  await troubles(claim('a'))
  expect(listed).toEqual(['team', 'elsewhere', 'team'])
})
