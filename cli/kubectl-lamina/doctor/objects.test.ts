import { describe, expect, test } from 'vitest'
import { containerImageSchema } from '../../../crds/container-image.ts'
import { instanceSchema } from '../../../crds/instance.ts'
import { persistentOverlaySchema } from '../../../crds/persistent-overlay.ts'
import { objectMetadataSchema } from '../../../kube/resource.ts'
import type { Event } from '../../../kube/resources.ts'
import { throwAwayLabel } from '../run/make.ts'
import { findingLines } from './finding.ts'
import { findingsOfImage, findingsOfInstance, findingsOfOverlay } from './objects.ts'

type Told = [type: string, status: 'True' | 'False' | 'Unknown', reason: string, message?: string]

const statusOf = (told: Told[], more: object = {}) => ({
  observedGeneration: 1,
  conditions: told.map(([type, status, reason, message = '']) => ({
    type,
    status,
    reason,
    message,
    lastTransitionTime: '2026-01-01T00:00:00Z',
  })),
  ...more,
})

const metadata = { name: 'dev', namespace: 'team', generation: 1 }

const instance = (told: Told[], labels: object = {}) =>
  instanceSchema.parse({
    metadata: { ...metadata, labels },
    spec: { imageRef: { name: 'debian' }, overlays: [{ name: 'data' }] },
    status: statusOf(told),
  })

const overlay = (told: Told[], more: object = {}) =>
  persistentOverlaySchema.parse({ metadata: { ...metadata, name: 'data' }, spec: {}, status: statusOf(told, more) })

const warning = (reason: string, message: string): Event => ({
  metadata: objectMetadataSchema.parse({ name: 'e', namespace: 'team' }),
  involvedObject: { kind: 'Instance', name: 'dev' },
  type: 'Warning',
  reason,
  message,
})

describe('an instance', () => {
  test('that runs is sound, and nothing old is told of it', () => {
    const findings = findingsOfInstance(
      instance([
        ['Ready', 'True', 'Running'],
        ['Running', 'True', 'Started'],
        ['OverlaysReady', 'True', 'Attached'],
        ['UpToDate', 'True', 'AsSpecified'],
      ]),
      [warning('ImageUnreachable', 'long ago')],
    )
    expect(findings).toEqual([{ subject: 'instance/dev', level: 'ok', what: 'Running' }])
  })

  test('that lacks an overlay says which, and how to make it', () => {
    const [first, ...more] = findingsOfInstance(
      instance([
        ['Ready', 'False', 'OverlayNotFound', 'there is no PersistentOverlay "data"'],
        ['Running', 'False', 'OverlayNotFound'],
        ['OverlaysReady', 'False', 'OverlayNotFound'],
      ]),
      [warning('OverlayNotFound', 'there is no PersistentOverlay "data"'), warning('FailedMount', 'the kubelet says')],
    )
    expect(first).toEqual({
      subject: 'instance/dev',
      level: 'wrong',
      what: 'OverlayNotFound: there is no PersistentOverlay "data"',
      next: 'kubectl lamina overlay create data, or correct spec.overlays',
    })
    expect(more.map(({ what }) => what)).toEqual(['Event of late: FailedMount: the kubelet says'])
  })

  test('is told of once, although Events repeat it in other words', () => {
    const scheduler = '0/1 nodes are available: 1 Insufficient memory.'
    const findings = findingsOfInstance(
      instance([
        ['Ready', 'False', 'Unschedulable', scheduler],
        ['Running', 'False', 'Unschedulable'],
      ]),
      [
        warning('FailedScheduling', scheduler),
        warning('Failed', `Error: ${scheduler}`),
        warning('BackOff', 'the same'),
        warning('Again', 'the same'),
        warning('Failed', 'the kubelet says'),
      ],
    )
    expect(findings.map(({ what, next }) => `${what} → ${next}`)).toEqual([
      expect.stringContaining(`Unschedulable: ${scheduler}`),
      expect.stringContaining('Failed: the kubelet says → kubectl -n team describe pod dev says more'),
      expect.stringContaining('Again: the same'),
    ])
  })

  test('that lacks a Secret is told to get it, and not to look further', () => {
    const missing = warning('FailedMount', 'MountVolume.SetUp failed for volume "keys" : secret "nope" not found')
    const starting: Told[] = [
      ['Ready', 'False', 'Starting', 'the pod is starting'],
      ['Running', 'False', 'Starting'],
    ]
    expect(findingsOfInstance(instance(starting), [missing]).at(-1)).toMatchObject({
      what: expect.stringContaining('VolumeSourceMissing: MountVolume.SetUp failed'),
      next: expect.stringMatching(/^make the Secret or ConfigMap/),
    })
  })

  test('that is stopped is as it should be', () => {
    const stopped: Told[] = [
      ['Ready', 'True', 'Stopped'],
      ['Running', 'False', 'Stopped'],
    ]
    expect(findingsOfInstance(instance(stopped), [])).toEqual([
      { subject: 'instance/dev', level: 'note', what: 'Stopped', next: 'kubectl lamina start dev' },
    ])
    const left = findingsOfInstance(instance(stopped, { [throwAwayLabel]: 'true' }), [])
    expect(left.at(-1)?.next).toBe('kubectl -n team delete instance dev')
  })

  test('that nobody has looked at points to the controller', () => {
    const unseen = instanceSchema.parse({ metadata, spec: { imageRef: { name: 'debian' } } })
    expect(findingsOfInstance(unseen, [])[0]?.next).toContain('whether the controller is up')
  })
})

describe('an overlay', () => {
  test('that is damaged is told with how to recover it', () => {
    const [first] = findingsOfOverlay(
      overlay([
        ['Ready', 'True', 'Bound'],
        ['Healthy', 'False', 'FileSystemDamaged', 'e2fsck -p leaves it'],
      ]),
      [],
    )
    expect(first).toMatchObject({ level: 'wrong', what: 'FileSystemDamaged: e2fsck -p leaves it' })
    expect(first?.next).toContain('--overlay data:ro')
  })

  test('that is nearly full is told in time, of bytes and of inodes', () => {
    const usage = { usedBytes: 90, capacityBytes: 100, usedInodes: 99, capacityInodes: 100, observedTime: '' }
    const findings = findingsOfOverlay(overlay([['Ready', 'True', 'Bound']], { usage }), [])
    expect(findings.map(({ what }) => what)).toEqual(['90% of its bytes are in use', '99% of its inodes are in use'])
  })

  test('that grows only at a restart says so, and of which instance', () => {
    const attachTime = '2026-01-01T00:00:00Z'
    const attachments = [{ instanceName: 'work', instanceUID: 'w', access: 'ReadWrite', attachTime }]
    const ready: Told[] = [
      ['Ready', 'True', 'Bound'],
      ['Resizing', 'True', 'RestartRequired', 'the file system grows at the next start'],
    ]
    expect(findingsOfOverlay(overlay(ready, { attachments }), [])).toContainEqual({
      subject: 'overlay/data',
      level: 'note',
      what: 'RestartRequired: the file system grows at the next start',
      next: 'kubectl lamina stop work && kubectl lamina start work applies it',
    })
  })

  test('that waits for its first instance is sound', () => {
    expect(findingsOfOverlay(overlay([['Ready', 'True', 'WaitingForFirstConsumer']]), [])).toEqual([
      { subject: 'overlay/data', level: 'ok', what: 'nothing written to it yet' },
    ])
  })
})

test('an image that a registry does not give is told as that, with where to put a password', () => {
  const image = containerImageSchema.parse({
    metadata: { ...metadata, name: 'debian' },
    spec: { source: { registry: { image: 'debian:12' } } },
    status: statusOf([
      ['Ready', 'False', 'ImageUnauthorized', 'the registry wants a password'],
      ['Refreshed', 'False', 'NotResolved'],
    ]),
  })
  expect(findingsOfImage(image, []).flatMap(findingLines)).toEqual([
    '✗ image/debian: ImageUnauthorized: the registry wants a password',
    '  → kubectl create secret docker-registry …, and name it in spec.source.registry.pullSecrets of the ContainerImage; where one is named, what is in it is wrong',
  ])
})
