import { describe, expect, test } from 'vitest'
import { condition, genInstance, genOverlay, genPod } from '../../test/gen/objects.ts'
import { isWanted, mayHold, rebuiltAttachments } from './holders.ts'

describe('rebuiltAttachments: what the status lost is known from the pods that still hold the data', () => {
  const overlay = genOverlay('work')
  const pod = genPod('dev', { claims: ['lamina-work'] })

  test('a pod of an instance counts as a writer while its instance tells nothing else', () => {
    expect(rebuiltAttachments(overlay, [pod], [])).toMatchObject([{ instanceUID: 'uid-dev', access: 'ReadWrite' }])
  })
  test('its instance tells how it holds it', () => {
    const instance = genInstance('dev', { status: { overlays: [{ name: 'work', uid: 'u', access: 'ReadOnly' }] } })
    expect(rebuiltAttachments(overlay, [pod], [instance])).toMatchObject([{ access: 'ReadOnly' }])
  })
  test('one that is known is not doubled', () => {
    const attachments = [{ instanceUID: 'uid-dev', instanceName: 'dev', access: 'ReadWrite', attachTime: 't' }]
    expect(rebuiltAttachments(genOverlay('work', { status: { attachments } }), [pod], [])).toEqual([])
  })
  test.each([
    ['released', genPod('dev', { claims: ['lamina-work'], metadata: { finalizers: [] } })],
    ['of another claim', genPod('dev', { claims: ['lamina-other'] })],
  ])('a pod that is %s holds nothing', (_, other) => {
    expect(rebuiltAttachments(overlay, [other], [])).toEqual([])
  })
})

describe('mayHold', () => {
  const orphan = { metadata: { uid: 'uid-pod', ownerReferences: [] }, claims: ['lamina-work'] }

  test.each([
    ['the pod of the instance', genPod('dev', { claims: ['lamina-work'] }), true],
    ['an orphan of the claim: it may be anybody’s', genPod('dev', orphan), true],
    ['another instance’s pod', genPod('other', { claims: ['lamina-work'] }), false],
    ['an orphan of another claim', genPod('dev', { ...orphan, claims: ['lamina-other'] }), false],
    ['a released pod', genPod('dev', { claims: ['lamina-work'], metadata: { finalizers: [] } }), false],
    ['no pod', undefined, false],
  ])('%s', (_, pod, holds) => {
    expect(mayHold(pod, { instanceUID: 'uid-dev', instance: undefined }, genOverlay('work'))).toBe(holds)
  })

  test('an orphan whose instance is forgotten holds in its own name', () => {
    expect(rebuiltAttachments(genOverlay('work'), [genPod('dev', orphan)], [])).toMatchObject([
      { instanceUID: 'uid-pod' },
    ])
  })
})

describe('of overlays that lie in one existing claim', () => {
  const existing = (name: string) =>
    genOverlay(name, { spec: { storage: { existingClaimName: 'mine', path: `${name}.img` } } })
  const pod = genPod('dev', { claims: ['mine'] })
  const granted = (...names: string[]) =>
    genInstance('dev', {
      status: {
        pod: { name: 'dev', uid: 'uid-dev' },
        overlays: names.map((name) => ({ name, uid: `uid-${name}`, access: 'ReadOnly' })),
      },
    })
  const rebuilt = (instances: ReturnType<typeof granted>[]) => rebuiltAttachments(existing('work'), [pod], instances)
  const holds = (instance: ReturnType<typeof granted> | undefined) =>
    mayHold(pod, { instanceUID: 'uid-dev', instance }, existing('work'))

  test('a pod holds those that its instance was granted', () => {
    expect(rebuilt([granted('work')])).toMatchObject([{ instanceName: 'dev', access: 'ReadOnly' }])
    expect(holds(granted('work'))).toBe(true)
    expect(rebuilt([granted('other')])).toEqual([])
    expect(holds(granted('other'))).toBe(false)
  })

  test.each([
    ['no instance is known', undefined],
    ['the grant was lost', genInstance('dev')],
    [
      'the grant is that of another pod',
      genInstance('dev', { status: { pod: { name: 'dev', uid: 'before' }, overlays: [] } }),
    ],
  ])('when %s, it may hold any', (_, instance) => {
    expect(rebuilt(instance ? [instance] : [])).toHaveLength(1)
    expect(holds(instance)).toBe(true)
  })
})

describe('isWanted', () => {
  const attachment = { instanceUID: 'uid-dev', instanceName: 'dev', access: 'ReadWrite' as const, attachTime: 't' }
  const overlays = [{ name: 'work', access: 'ReadWrite' }]

  test('by a running instance that names the overlay so', () => {
    expect(isWanted(attachment, 'work', genInstance('dev', { spec: { overlays } }))).toBe(true)
  })
  test.each([
    ['gone', undefined],
    ['another of that name', genInstance('dev', { spec: { overlays }, metadata: { uid: 'new' } })],
    ['being deleted', genInstance('dev', { spec: { overlays }, metadata: { deletionTimestamp: 't' } })],
    ['stopped', genInstance('dev', { spec: { overlays, state: 'Stopped' } })],
    ['without the overlay', genInstance('dev')],
    ['asking for other access', genInstance('dev', { spec: { overlays: [{ name: 'work', access: 'ReadOnly' }] } })],
    [
      'finished',
      genInstance('dev', {
        spec: { overlays, restartPolicy: 'Never' },
        status: { conditions: [condition('Running', 'False', 'Completed')] },
      }),
    ],
  ])('not by an instance that is %s', (_, instance) => {
    expect(isWanted(attachment, 'work', instance)).toBe(false)
  })
})
