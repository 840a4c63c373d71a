import { describe, expect, test } from 'vitest'
import { condition, genImage, genInstance, genOverlay } from '../../test/gen/objects.ts'
import { imageView, instanceView, overlayView, patchFor } from './views.ts'

const running = [condition('Ready', 'True', 'Running'), condition('Running', 'True', 'Started')]
const resting = (reason: string) => [condition('Ready', 'True', reason), condition('Running', 'False', reason)]

describe('an instance', () => {
  test.each([
    ['runs', {}, running, { tone: 'good', word: 'Running' }, 'stop', true],
    ['is stopped', { state: 'Stopped' }, resting('Stopped'), { tone: 'rest', word: 'Stopped' }, 'start', false],
    ['is stopped for its idleness', {}, resting('Idle'), { tone: 'rest', word: 'Idle' }, 'start', false],
    [
      'has completed',
      { restartPolicy: 'Never' },
      resting('Completed'),
      { tone: 'rest', word: 'Completed' },
      'start',
      false,
    ],
    [
      'has failed',
      { restartPolicy: 'Never' },
      [
        condition('Ready', 'False', 'Failed'),
        condition('Stalled', 'True', 'Failed'),
        condition('Running', 'False', 'Failed'),
      ],
      { tone: 'bad', word: 'Failed' },
      'start',
      false,
    ],
    [
      'waits',
      {},
      [condition('Ready', 'False', 'WaitingForOverlay'), condition('Running', 'False', 'WaitingForOverlay')],
      { tone: 'busy', word: 'WaitingForOverlay' },
      'stop',
      false,
    ],
    [
      'is being stopped, and may be wanted after all',
      { state: 'Stopped' },
      [condition('Ready', 'False', 'Stopping'), condition('Running', 'True', 'Stopping')],
      { tone: 'busy', word: 'Stopping' },
      'start',
      true,
    ],
    ['is new', {}, [], { tone: 'busy', word: 'New' }, 'stop', false],
  ])('that %s', (_what, spec, conditions, state, action, hasTerminal) => {
    const view = instanceView(genInstance('dev', { spec, status: { observedGeneration: 1, conditions } }))
    expect(view).toMatchObject({ state, action, hasTerminal })
  })

  test('that has been asked to start again can be stopped', () => {
    const metadata = { annotations: { 'lamina.dev/start-requested': 'now' } }
    const asked = genInstance('dev', { metadata, status: { observedGeneration: 1, conditions: resting('Idle') } })
    expect(instanceView(asked).action).toBe('stop')
  })

  test('names its image, overlays and node', () => {
    const overlays = [{ name: 'dev' }, { name: 'tools', access: 'ReadOnly' }]
    const status = { pod: { name: 'dev', uid: 'uid', nodeName: 'node-a' } }
    expect(instanceView(genInstance('dev', { spec: { overlays }, status }))).toMatchObject({
      image: 'debian',
      overlays: ['dev', 'tools (read only)'],
      node: 'node-a',
    })
  })

  test('is started by its state when that says Stopped, else by a request', () => {
    const now = new Date('2026-01-01T12:00:00Z')
    const stopped = genInstance('dev', { spec: { state: 'Stopped' } })
    const idle = genInstance('dev', { status: { conditions: resting('Idle') } })
    expect(patchFor('start', stopped, now)).toEqual({ spec: { state: 'Running' } })
    expect(patchFor('start', idle, now)).toEqual({
      metadata: { annotations: { 'lamina.dev/start-requested': '2026-01-01T12:00:00.000Z' } },
    })
    expect(patchFor('stop', idle, now)).toEqual({ spec: { state: 'Stopped' } })
  })
})

describe('an overlay', () => {
  const usage = {
    usedBytes: 943_718_400,
    capacityBytes: 2 ** 30,
    usedInodes: 6554,
    capacityInodes: 65_536,
    observedTime: '2026-01-01T00:00:00Z',
  }

  test('says how full it is, of its bytes and of its inodes', () => {
    const view = overlayView(genOverlay('dev', { status: { usage, size: '1Gi' } }))
    expect(view.usage?.bytes).toEqual({ share: 943_718_400 / 2 ** 30, words: '900 MiB of 1 GiB (88 %)' })
    expect(view.usage?.inodes).toMatchObject({ words: '6554 of 65536 (10 %)' })
  })

  test('is never fuller than full', () => {
    const view = overlayView(genOverlay('dev', { status: { usage: { ...usage, usedBytes: 2 ** 31 } } }))
    expect(view.usage?.bytes.share).toBe(1)
  })

  test('has the size of its spec, and no usage, before a node has looked', () => {
    const view = overlayView(genOverlay('dev', { spec: { size: '2Gi' } }))
    expect(view).toMatchObject({ size: '2Gi' })
    expect(view).not.toHaveProperty('usage')
  })

  test('names who holds it', () => {
    const held = (instanceName: string, access: string) => ({
      instanceUID: instanceName,
      instanceName,
      access,
      attachTime: '2026-01-01T00:00:00Z',
    })
    const attachments = [held('one', 'ReadOnly'), held('two', 'ReadOnly')]
    expect(overlayView(genOverlay('dev', { status: { attachments } })).holders).toEqual([
      'one (read only)',
      'two (read only)',
    ])
  })

  test('that is damaged is bad, ready or not', () => {
    const conditions = [condition('Ready', 'True', 'Attached'), condition('Healthy', 'False', 'FileSystemDamaged')]
    expect(overlayView(genOverlay('dev', { status: { conditions } })).state).toMatchObject({
      tone: 'bad',
      word: 'FileSystemDamaged',
    })
  })
})

describe('an image', () => {
  test('from a registry', () => {
    expect(imageView(genImage('debian'))).toMatchObject({
      source: 'registry.example/debian:12',
      digest: 'aaaaaaaaaaaa',
      size: '48 MiB',
    })
  })

  test('from a URL keeps its query, which may be a signature, to itself', () => {
    const file = { url: 'https://files.example/a.sif?X-Signature=secret', sha256: 'a'.repeat(64) }
    expect(imageView(genImage('a', { spec: { source: { file } }, status: {} }))).toMatchObject({
      source: 'https://files.example/a.sif',
      digest: '',
      size: '',
    })
  })

  test('on a volume', () => {
    const volume = { claimName: 'images', path: 'tools.sif' }
    expect(imageView(genImage('a', { spec: { source: { volume } } })).source).toBe('claim images: /tools.sif')
  })
})
