import { describe, expect, test } from 'vitest'
import type { PersistentOverlay } from '../../crds/persistent-overlay.ts'
import { createJointSerializer } from '../../kube/serially.ts'
import { digestOf, genInstance, genOverlay, genResolved } from '../../test/gen/objects.ts'
import { followImage } from './follow.ts'

const baseOf = (letter: string) => {
  const { reference, digest, platform, config } = genResolved(letter)
  return { reference, digest, platform, config }
}

/** What is written when an instance's pod has been made on image `b`. */
const follow = async (use: object, overlay: PersistentOverlay) => {
  const bodies: unknown[] = []
  const told: string[] = []
  const instance = genInstance('dev', { spec: { overlays: [{ name: 'work', ...use }] } })
  await followImage(
    {
      client: {
        apply: async (resource, body) => {
          bodies.push(body)
          return resource.parse(JSON.parse(JSON.stringify(overlay)))
        },
      },
      caches: { overlays: { get: () => overlay, note: () => {} } },
      events: { event: (_about, _type, reason, message) => told.push(`${reason}: ${message}`) },
      serially: createJointSerializer(),
    },
    { instance, chosen: baseOf('b') },
  )
  return { bodies, told }
}
const upon = (letter: string) =>
  genOverlay('work', { status: { base: baseOf(letter), usage: undefined, observedGeneration: 1 } })

describe('an overlay that is told to follow', () => {
  test('lies upon the new image as soon as there is a pod, remembers the one before, and tells', async () => {
    const { bodies, told } = await follow({ base: 'Follow' }, upon('a'))
    const { reference, digest } = baseOf('a')
    expect(bodies).toMatchObject([
      { metadata: { resourceVersion: '1' }, status: { base: baseOf('b'), previousBase: { reference, digest } } },
    ])
    expect(told).toEqual([
      `BaseFollowed: instance "dev" takes it from ${reference} to registry.example/debian@${digestOf('b')}`,
    ])
  })

  test('that lies upon it already needs no write', async () => {
    expect(await follow({ base: 'Follow' }, upon('b'))).toEqual({ bodies: [], told: [] })
  })
})

test.each([{}, { base: 'Keep' }, { access: 'ReadOnly' }])('one that is not told stays: %j', async (use) => {
  expect(await follow(use, upon('a'))).toEqual({ bodies: [], told: [] })
})
