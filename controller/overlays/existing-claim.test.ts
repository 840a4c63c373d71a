import { describe, expect, test } from 'vitest'
import type { KubeClient } from '../../kube/client.ts'
import { systemClock } from '../../kube/clock.ts'
import type { PersistentVolumeClaim } from '../../kube/resources.ts'
import { genClaim, genOverlay } from '../../test/gen/objects.ts'
import { observeExistingClaim } from './existing-claim.ts'

const overlay = (storage: object = {}, status: object = { claim: undefined }) =>
  genOverlay('work', { spec: { storage: { existingClaimName: 'mine', ...storage } }, status })
const claim = (given: Parameters<typeof genClaim>[1] = {}) => genClaim('mine', { status: { phase: 'Bound' }, ...given })

/** What a pass finds when the API server has this claim: it can only read. */
const observed = (there: PersistentVolumeClaim | undefined, of = overlay(), existingClaim = ['team']) => {
  const client: Pick<KubeClient, 'get'> = {
    get: async (resource, { name }) =>
      resource.kind === 'PersistentVolumeClaim' && name === 'mine' && there ? resource.parse(there) : undefined,
  }
  const allowedSources = { file: [], volume: [], existingClaim, ext3Base: [] }
  const caches = { storageClasses: { get: () => undefined }, instances: { by: () => [] } }
  const settings = { allowedSources }
  return observeExistingClaim(
    { client, caches, clock: systemClock, settings, claimTroubles: async () => undefined },
    of,
  )
}

describe('a claim that was there before', () => {
  test('is taken as it is', async () => {
    expect(await observed(claim())).toMatchObject({ kind: 'bound', claim: { metadata: { name: 'mine' } } })
  })

  test('is not even looked at where no administrator has allowed it', async () => {
    expect(await observed(claim(), overlay(), ['other'])).toEqual({
      kind: 'notAllowed',
      message: expect.stringMatching(/namespace team.*allowedSources\.existingClaim/),
    })
  })

  test.each([
    ['not there', undefined, /"?mine"?.*is not in namespace team/],
    ['going away', claim({ metadata: { deletionTimestamp: 't' } }), /is being deleted/],
  ])('%s: waits for it', async (_, there, words) => {
    expect(await observed(there)).toEqual({ kind: 'absent', message: expect.stringMatching(words) })
  })

  test.each([
    ['volumeMode', claim({ spec: { volumeMode: 'Block' } }), 'VolumeModeMismatch', /storage\.volumeMode/],
    ['access mode', claim({ spec: { accessModes: ['ReadWriteMany'] } }), 'AccessModeMismatch', /ReadWriteMany/],
  ])('must have the %s asked', async (_, there, reason, words) => {
    expect(await observed(there)).toEqual({ kind: 'unsuitable', reason, message: expect.stringMatching(words) })
  })

  test('made anew under its name, is not the one that held the data', async () => {
    const before = overlay({}, { claim: { name: 'mine', uid: 'uid-before' } })
    expect(await observed(claim(), before)).toMatchObject({ kind: 'lost' })
    expect(await observed(claim(), overlay({}, { claim: { name: 'mine', uid: 'uid-mine' } }))).toMatchObject({
      kind: 'bound',
    })
  })
})
