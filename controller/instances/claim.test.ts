import { describe, expect, test } from 'vitest'
import type { Instance } from '../../crds/instance.ts'
import type { PersistentOverlay } from '../../crds/persistent-overlay.ts'
import { annotations, labels } from '../../kube/names.ts'
import { condition, genClaim, genImage, genInstance, genOverlay, genPod, genResolved } from '../../test/gen/objects.ts'
import { genWorld } from '../../test/gen/world.ts'
import type { Context } from '../context.ts'
import { createOverlayReconciler } from '../overlays/reconcile.ts'
import { withdrawClaims } from './claim.ts'
import { claimAll } from './start.ts'

const baseOf = (letter: string) => {
  const { reference, digest, platform, config } = genResolved(letter)
  return { reference, digest, platform, config }
}
const imageOf = (letter: string) =>
  genImage('debian', { status: { observedGeneration: 1, resolved: genResolved(letter) } })
const untouched = (name: string, spec: object = {}): PersistentOverlay =>
  genOverlay(name, { spec, status: { claim: undefined } })
const wanting = (name: string, ...overlays: string[]): Instance =>
  genInstance(name, { spec: { overlays: overlays.map((each) => ({ name: each })) } })
const claimThat = (remembers: string | undefined, phase: string, spec: object = {}) =>
  genClaim('lamina-work', {
    metadata: {
      labels: { [labels.overlay]: 'work' },
      annotations: remembers === undefined ? {} : { [annotations.base]: JSON.stringify(baseOf(remembers)) },
    },
    spec,
    status: { phase },
  })

const statusOf = ({ caches }: Context, name = 'work') => caches.overlays.get({ namespace: 'team', name })?.status
const chosenBy = (prepared: Awaited<ReturnType<typeof claimAll>>): string | undefined =>
  prepared.kind === 'claimed' ? prepared.parts.chosen.digest : prepared.finding.kind

describe('an overlay that nobody has looked at', () => {
  test('gets its claim, its holder and its base at once', async () => {
    const dev = wanting('dev', 'work')
    const context = genWorld({ images: [imageOf('a')], overlays: [untouched('work')], instances: [dev] })
    expect(chosenBy(await claimAll(context, dev))).toBe(baseOf('a').digest)
    expect(statusOf(context)).toMatchObject({
      claim: { name: 'lamina-work', uid: 'uid-lamina-work' },
      attachments: [{ instanceName: 'dev' }],
      base: { digest: baseOf('a').digest },
      conditions: expect.arrayContaining([expect.objectContaining({ type: 'Ready' })]),
    })
  })

  test('is left to its own pass when there is a claim of it: that may hold data upon another image', async () => {
    const dev = wanting('dev', 'work')
    const claims = [claimThat('a', 'Bound')]
    const context = genWorld({ images: [imageOf('b')], overlays: [untouched('work')], instances: [dev], claims })
    expect(await claimAll(context, dev)).toMatchObject({ finding: { overlays: { reason: 'ClaimPending' } } })
    await createOverlayReconciler(context)('team/work')
    expect(statusOf(context)).toMatchObject({ base: { digest: baseOf('a').digest } })
    expect(chosenBy(await claimAll(context, dev))).toBe(baseOf('a').digest)
  })

  test('is not given to a second writer while a pod of an overlay that was deleted has its claim', async () => {
    const former = genInstance('former', {
      spec: { overlays: [{ name: 'work' }] },
      status: {
        pod: { name: 'former', uid: 'uid-former', templateHash: 'h' },
        overlays: [{ name: 'work', access: 'ReadWrite', uid: 'uid-before' }],
        conditions: [condition('Ready', 'True', 'Running')],
      },
    })
    const dev = wanting('dev', 'work')
    const context = genWorld({
      images: [imageOf('a')],
      overlays: [untouched('work', { storage: { accessMode: 'ReadWriteMany' } })],
      instances: [former, dev],
      pods: [genPod('former', { claims: ['lamina-work'] })],
      claims: [claimThat(undefined, 'Bound', { accessModes: ['ReadWriteMany'] })],
    })
    await claimAll(context, dev)
    await createOverlayReconciler(context)('team/work')
    expect(statusOf(context)?.attachments).toEqual([expect.objectContaining({ instanceName: 'former' })])
    expect(await claimAll(context, dev)).toMatchObject({ finding: { overlays: { reason: 'OverlayInUse' } } })
  })

  test('and whose claim is refused says so, and keeps none of the others from anybody', async () => {
    const dev = wanting('dev', 'tools', 'work')
    const overlays = [untouched('tools'), untouched('work')]
    const context = genWorld({ images: [imageOf('a')], overlays, instances: [dev] }, ['lamina-work'])
    expect(await claimAll(context, dev)).toMatchObject({ finding: { overlays: { reason: 'ClaimRefused' } } })
    expect(statusOf(context, 'tools')).not.toHaveProperty('attachments')
    expect(statusOf(context, 'tools')).not.toHaveProperty('base')
  })
})

describe('the image that a pod is made of', () => {
  test('is the one that the claim has left the overlay on, whoever told of that meanwhile', async () => {
    const dev = wanting('dev', 'work')
    const overlay = genOverlay('work', {
      status: { observedGeneration: 1, conditions: [condition('Ready', 'True', 'Bound')] },
    })
    const claims = [claimThat('a', 'Bound')]
    const context = genWorld({ images: [imageOf('b')], overlays: [overlay], instances: [dev], claims })
    const [, prepared] = await Promise.all([createOverlayReconciler(context)('team/work'), claimAll(context, dev)])
    expect(chosenBy(prepared)).toBe(statusOf(context)?.base?.digest)
  })

  test('stays that of data which a claim remembers, after somebody who could not start', async () => {
    const dev = wanting('dev', 'work')
    const overlay = genOverlay('work', {
      status: { observedGeneration: 1, base: baseOf('a'), conditions: [condition('Ready', 'True', 'Bound')] },
    })
    const claims = [claimThat('a', 'Bound')]
    const context = genWorld({ images: [imageOf('b')], overlays: [overlay], instances: [dev], claims })
    await claimAll(context, dev)
    await withdrawClaims(context, dev)
    expect(statusOf(context)?.base?.digest).toBe(baseOf('a').digest)
  })

  test('is anybody’s to choose again when the first could not start, and nothing was written', async () => {
    const dev = wanting('dev', 'work')
    const context = genWorld({ images: [imageOf('a')], overlays: [untouched('work')], instances: [dev] })
    await claimAll(context, dev)
    await withdrawClaims(context, dev)
    await createOverlayReconciler(context)('team/work')
    expect(statusOf(context)?.base).toBeUndefined()
  })
})
