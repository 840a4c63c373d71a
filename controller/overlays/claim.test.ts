import { describe, expect, test } from 'vitest'
import { digestOf, genClaim, genOverlay } from '../../test/gen/objects.ts'
import { claimNameOf, claimOf, claimPatch, claimSize, volumeModeProblem } from './claim.ts'

const overhead = { default: 0.06, classes: { thin: 0 } }

describe('claimSize', () => {
  test('an image of the size fits beside what the file system keeps for itself', () => {
    expect(claimSize(genOverlay('o', { spec: { size: '1Gi' } }), overhead)).toBe('1106Mi')
  })
  test('the overhead can be told for a StorageClass', () => {
    const spec = { size: '1Gi', storage: { storageClassName: 'thin' } }
    expect(claimSize(genOverlay('o', { spec }), overhead)).toBe('1040Mi')
  })
  test.each([
    [
      'a device, which has no file system of its own, but a place for notes',
      { storage: { volumeMode: 'Block' } },
      '1025Mi',
    ],
    ['plain directories: the volume is the overlay', { format: 'Directory' }, '1024Mi'],
  ])('less for %s', (_, spec, expected) => {
    expect(claimSize(genOverlay('o', { spec: { size: '1Gi', ...spec } }), overhead)).toBe(expected)
  })
})

describe('claimOf', () => {
  test('Retain: no owner, so that the data outlives the overlay', () => {
    expect(claimOf(genOverlay('work'), '1Gi').metadata).toMatchObject({
      name: 'lamina-work',
      labels: { 'lamina.dev/overlay': 'work' },
      ownerReferences: [],
    })
  })
  test('Delete: the overlay owns it', () => {
    const overlay = genOverlay('work', { spec: { reclaimPolicy: 'Delete' } })
    expect(claimOf(overlay, '1Gi').metadata.ownerReferences).toMatchObject([
      { kind: 'PersistentOverlay', uid: 'uid-work' },
    ])
  })
})

describe('the mode of the volume', () => {
  test('is asked of a new claim', () => {
    expect(claimOf(genOverlay('work'), '1Gi').spec).toMatchObject({ volumeMode: 'Filesystem' })
    const block = genOverlay('work', { spec: { storage: { volumeMode: 'Block' } } })
    expect(claimOf(block, '1Gi').spec).toMatchObject({ volumeMode: 'Block' })
  })
  test.each([
    ['Block', 'Block', undefined],
    [undefined, 'Filesystem', undefined],
    ['Block', 'Filesystem', /has volumeMode Block, not storage\.volumeMode Filesystem.*volumeMode: Block/],
    [undefined, 'Block', /has volumeMode Filesystem/],
  ] as const)('of a claim that is there (%s) must be the one asked (%s)', (has, asks, words) => {
    const claim = genClaim('mine', { spec: has ? { volumeMode: has } : {} })
    const problem = volumeModeProblem(
      claim,
      genOverlay('work', { spec: { storage: { volumeMode: asks } } }).spec.storage,
    )
    if (words) expect(problem).toMatch(words)
    else expect(problem).toBeUndefined()
  })
})

test('the claim is the overlay’s own, or the one that was there before', () => {
  expect(claimNameOf(genOverlay('work'))).toBe('lamina-work')
  expect(claimNameOf(genOverlay('work', { spec: { storage: { existingClaimName: 'mine' } } }))).toBe('mine')
})

describe('claimPatch', () => {
  const overlay = genOverlay('work')
  test('nothing to do', () => {
    expect(claimPatch(genClaim('lamina-work'), overlay, '1Gi')).toBeUndefined()
  })
  test('it grows, under the resourceVersion that was seen', () => {
    expect(claimPatch(genClaim('lamina-work', { status: { phase: 'Bound' } }), overlay, '2Gi')).toEqual({
      metadata: { resourceVersion: '1' },
      spec: { resources: { requests: { storage: '2Gi' } } },
    })
  })
  test('but not before it is bound: until then its spec cannot be changed', () => {
    expect(claimPatch(genClaim('lamina-work', { status: { phase: 'Pending' } }), overlay, '2Gi')).toBeUndefined()
  })
  test('it never shrinks', () => {
    expect(claimPatch(genClaim('lamina-work'), overlay, '512Mi')).toBeUndefined()
  })
  test('a change of reclaimPolicy gives it its owner, or takes it', () => {
    const deleting = genOverlay('work', { spec: { reclaimPolicy: 'Delete' } })
    expect(claimPatch(genClaim('lamina-work'), deleting, '1Gi')).toMatchObject({
      metadata: { ownerReferences: [{ uid: 'uid-work' }] },
    })
    const owned = genClaim('lamina-work', {
      metadata: {
        ownerReferences: [
          { apiVersion: 'lamina.dev/v1alpha1', kind: 'PersistentOverlay', name: 'work', uid: 'uid-work' },
        ],
      },
    })
    expect(claimPatch(owned, overlay, '1Gi')).toMatchObject({ metadata: { ownerReferences: [] } })
  })
  test('the base is mirrored in an annotation, once the node says that it has been used', () => {
    const base = {
      reference: `r@${digestOf('a')}`,
      digest: digestOf('a'),
      platform: { os: 'linux', architecture: 'amd64' },
      config: {},
    }
    const usage = { usedBytes: 1, usedInodes: 1, capacityBytes: 2, capacityInodes: 2, observedTime: 't' }
    const claim = genClaim('lamina-work', { status: { phase: 'Bound' } })
    expect(claimPatch(claim, genOverlay('work', { status: { base } }), '1Gi')).toBeUndefined()
    const patch = claimPatch(claim, genOverlay('work', { status: { base, usage } }), '1Gi')
    expect(patch).toMatchObject({ metadata: { annotations: { 'lamina.dev/base': JSON.stringify(base) } } })
  })
})
