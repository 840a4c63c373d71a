import { describe, expect, test } from 'vitest'
import type { Attachment } from '../../crds/persistent-overlay.ts'
import { genClaim, genOverlay, genResolved } from '../../test/gen/objects.ts'
import type { ClaimFinding } from './observe-claim.ts'
import { statusAfter, withAttachments, withBase } from './status.ts'

const now = new Date('2026-01-01T12:00:00Z')
const bound: ClaimFinding = { kind: 'bound', claim: genClaim('lamina-work') }
const conditionsOf = (
  spec: object,
  {
    finding = bound,
    attachments = [],
    overdue = [],
    ...more
  }: Partial<{
    finding: ClaimFinding
    attachments: Parameters<typeof statusAfter>[1]['attachments']
    overdue: string[]
    status: object
  }> = {},
) =>
  statusAfter(genOverlay('work', { spec, ...more }), { finding, attachments, overdue, base: undefined, now })
    .conditions ?? []
const told = (...given: Parameters<typeof conditionsOf>) =>
  Object.fromEntries(conditionsOf(...given).map(({ type, status, reason }) => [type, `${status} ${reason}`]))
const messageOf = (type: string, ...given: Parameters<typeof conditionsOf>) =>
  conditionsOf(...given).find((each) => each.type === type)?.message

describe('how a claim stands', () => {
  test.each<[string, ClaimFinding, Record<string, string>]>([
    ['bound', bound, { Ready: 'True Bound' }],
    [
      'made when a pod asks',
      { kind: 'waitsForConsumer', claim: genClaim('lamina-work') },
      { Ready: 'True WaitingForFirstConsumer' },
    ],
    ['named, and not there', { kind: 'absent', message: 'm' }, { Ready: 'False ClaimNotFound', Stalled: 'False None' }],
    ['not allowed', { kind: 'notAllowed', message: 'm' }, { Stalled: 'True SourceNotAllowed' }],
    [
      'of another mode',
      { kind: 'unsuitable', reason: 'VolumeModeMismatch', message: 'm' },
      { Stalled: 'True VolumeModeMismatch' },
    ],
    ["another overlay's", { kind: 'taken', message: 'm' }, { Stalled: 'True ClaimTaken' }],
  ])('%s', (_, finding, expected) => {
    expect(told({}, { finding })).toMatchObject(expected)
  })
})

describe('Allocated: whether what was written can be lost for want of room', () => {
  test.each([
    ['full, by default', {}, 'True Full'],
    ['sparse, as asked', { ext3: { allocation: 'Sparse' } }, 'False Sparse'],
    ['a device', { storage: { volumeMode: 'Block' } }, 'True Device'],
    ['plain directories', { format: 'Directory' }, 'True Directory'],
    ['as it was found', { storage: { existingClaimName: 'mine' } }, 'Unknown AsFound'],
  ])('%s', (_, spec, expected) => {
    expect(told(spec)).toMatchObject({ Allocated: expected })
  })

  test('the risk is said', () => {
    expect(messageOf('Allocated', { ext3: { allocation: 'Sparse' } })).toMatch(/full.*writes are lost/)
  })
})

const at = '2026-01-01T11:00:00Z'
const attachment = (instanceName: string, access: 'ReadWrite' | 'ReadOnly') => ({
  ...{ instanceUID: `uid-${instanceName}`, instanceName, access },
  attachTime: at,
})

const seen = (capacityBytes: number) => ({
  usage: {
    ...{ usedBytes: 1, usedInodes: 1, capacityBytes, capacityInodes: 2 },
    observedTime: '2026-01-01T00:00:00Z',
  },
})

describe('size, as kubectl get shows it', () => {
  const sizeOf = (spec: object, status: object = {}) =>
    statusAfter(genOverlay('work', { spec, status }), {
      ...{ finding: bound, attachments: [], overdue: [], base: undefined, now },
    }).size

  test.each([
    ['what is to be made: as the spec has it', { size: '2Gi' }, {}, '2Gi'],
    ['what is there: as the node saw it, although it is to grow', { size: '2Gi' }, seen(2 ** 30), '1Gi'],
    ['on an existing claim: its own', { storage: { existingClaimName: 'mine' } }, seen(48 * 2 ** 20), '48Mi'],
    ['on an existing claim that no node has seen: unknown', { storage: { existingClaimName: 'mine' } }, {}, undefined],
  ])('%s', (_, spec, status, expected) => {
    expect(sizeOf(spec, status)).toBe(expected)
  })
})

describe('Resizing', () => {
  const status = seen(2 ** 29)
  test.each([
    ['at the next start, when the spec asks for more than there is', {}, 'True AtNextStart'],
    ['a device too', { storage: { volumeMode: 'Block' } }, 'True AtNextStart'],
    ['not plain directories: they are as large as their volume', { format: 'Directory' }, 'False AsSpecified'],
    ['not what was on a claim before', { storage: { existingClaimName: 'mine' } }, 'False AsSpecified'],
  ])('%s', (_, spec, expected) => {
    expect(told({ size: '1Gi', ...spec }, { status })).toMatchObject({ Resizing: expected })
  })

  test.each([
    ['while it is in use, where the kernel lets it', 'ReadWrite', 'True FileSystemGrowing'],
    ['not under readers', 'ReadOnly', 'True AtNextStart'],
  ] as const)('%s', (_, access, expected) => {
    const attachments = [attachment('dev', access)]
    expect(told({ size: '1Gi' }, { status, attachments })).toMatchObject({ Resizing: expected })
  })

  test('at the next start alone of a device that other nodes may have', () => {
    const storage = { volumeMode: 'Block', accessMode: 'ReadWriteMany' }
    const attachments = [attachment('dev', 'ReadWrite')]
    expect(told({ size: '1Gi', storage }, { status, attachments })).toMatchObject({ Resizing: 'True RestartRequired' })
  })

  test.each([
    ['the node cannot while it is in use', 2 ** 30, 'RestartRequired', 'True RestartRequired'],
    ['nor at any start', 2 ** 30, 'OverlayTooSmall', 'False OverlayTooSmall'],
    ['which says nothing of another size', 2 ** 31, 'RestartRequired', 'True FileSystemGrowing'],
  ])('%s', (_, bytes, reason, expected) => {
    const growthBlocked = { bytes, reason, message: 'why' }
    const blocked = { usage: { ...seen(2 ** 29).usage, growthBlocked } }
    const given = { status: blocked, attachments: [attachment('dev', 'ReadWrite')] }
    expect(told({ size: '1Gi' }, given)).toMatchObject({ Resizing: expected })
  })
})

const none = { base: undefined, remembered: undefined }

test('Attached is not yet known while the volume cannot be made, whoever the overlay is kept for', () => {
  const claim = genClaim('lamina-work')
  const attachments = [attachment('dev', 'ReadWrite')]
  for (const finding of [
    { kind: 'pending', claim, trouble: 'no space in pool' },
    { kind: 'pending', claim, trouble: undefined },
  ] as const) {
    const { conditions } = statusAfter(genOverlay('work'), { finding, attachments, overdue: [], base: undefined, now })
    const attached = conditions?.find(({ type }) => type === 'Attached')
    expect(attached).toMatchObject({ status: 'Unknown', reason: 'VolumePending' })
    const overlay = genOverlay('work', { status: { conditions, observedGeneration: 1 } })
    const claimed = withAttachments(overlay, attachments, none, now)
    expect(claimed.conditions?.find(({ type }) => type === 'Attached')).toEqual(attached)
  }
})

describe('Attached says who has it, how, and since when', () => {
  test.each([
    ['nobody', [], 'False Free', ''],
    ['a writer', [attachment('dev', 'ReadWrite')], 'True Writer', `dev has it for writing since ${at}`],
    [
      'readers',
      [attachment('a', 'ReadOnly'), attachment('b', 'ReadOnly')],
      'True Readers',
      `for reading: a since ${at}, b since ${at}`,
    ],
  ])('%s', (_, attachments, expected, words) => {
    expect(told({}, { attachments })).toMatchObject({ Attached: expected })
    expect(messageOf('Attached', {}, { attachments })).toBe(words)
  })

  test('and of a pod that should have ended, what keeps it', () => {
    const given = { attachments: [attachment('a', 'ReadOnly')], overdue: ['pod a should have ended'] }
    expect(told({}, given)).toMatchObject({ Attached: 'True NotReleased' })
    expect(messageOf('Attached', {}, given)).toBe(`for reading: a since ${at}; pod a should have ended`)
  })

  test('and no newcomer takes that back while it is kept', () => {
    const [a, b] = [attachment('a', 'ReadOnly'), attachment('b', 'ReadOnly')]
    const overdue = ['pod a should have ended']
    const status = statusAfter(genOverlay('work'), { finding: bound, attachments: [a], overdue, base: undefined, now })
    const attachedTo = (attachments: Attachment[]) =>
      withAttachments(genOverlay('work', { status }), attachments, none, now).conditions?.find(
        ({ type }) => type === 'Attached',
      )?.reason
    expect(attachedTo([a, b])).toBe('NotReleased')
    expect(attachedTo([b])).toBe('Readers')
    expect(attachedTo([])).toBe('Free')
  })
})

describe('the image that an overlay lies upon', () => {
  const base = (letter: string, pullSecret?: string) => {
    const { reference, digest, platform, config } = genResolved(letter)
    return { reference, digest, platform, config, ...(pullSecret ? { pullSecrets: [{ name: pullSecret }] } : {}) }
  }
  const usage = { usedBytes: 1, usedInodes: 1, capacityBytes: 2, capacityInodes: 2, observedTime: at }
  const written = (status: object) => genOverlay('work', { status: { usage, ...status } })
  const claimed = (status: object, by: ReturnType<typeof base> | undefined) =>
    withAttachments(written(status), [attachment('dev', 'ReadWrite')], { ...none, base: by }, now).base

  test('is the first that is written, and stays, with the secrets that it is read with now', () => {
    expect(claimed({}, base('a', 'one'))).toEqual(base('a', 'one'))
    expect(claimed({ base: base('a', 'one') }, base('b', 'two'))).toEqual(base('a', 'one'))
    expect(claimed({ base: base('a', 'one') }, base('a', 'two'))).toEqual(base('a', 'two'))
    expect(claimed({ base: base('a', 'one') }, undefined)).toEqual(base('a', 'one'))
  })

  test('is forgotten with the claim of who never wrote', () => {
    const unmade = genOverlay('work', { status: { base: base('a') } })
    expect(withAttachments(unmade, [], none, now).base).toBeUndefined()
  })

  test('is what the claim remembers, when the node has not told yet whether anything was written', () => {
    const restored = genOverlay('work', { status: { base: base('a') } })
    expect(withAttachments(restored, [], { ...none, remembered: base('a') }, now).base).toEqual(base('a'))
  })

  test('is remembered when it follows to another, by later passes too', () => {
    const { reference, digest } = base('a')
    const status = withBase(written({ base: base('a') }), base('b'))
    expect(status).toMatchObject({ base: base('b'), previousBase: { reference, digest } })
    const later = { finding: bound, attachments: [], overdue: [], base: base('b'), now }
    expect(statusAfter(written(status), later)).toMatchObject({ previousBase: { reference, digest } })
  })
})
