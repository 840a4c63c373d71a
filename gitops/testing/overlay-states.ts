import { takenReason } from '../../controller/overlays/contest.ts'
import type { ClaimFinding } from '../../controller/overlays/observe-claim.ts'
import { statusAfter } from '../../controller/overlays/status.ts'
import type { Attachment, PersistentOverlay } from '../../crds/persistent-overlay.ts'
import { notAllowedReason } from '../../kube/allowed-sources.ts'
import { timestamp } from '../../kube/clock.ts'
import { unhealthy } from '../../kube/names.ts'
import { genClaim, genOverlay } from '../../test/gen/objects.ts'
import type { Kstatus } from './kstatus.ts'
import type { Health } from './run-health.ts'
import { failingOf, now, type State, unseenMessage } from './states.ts'

const name = 'work'
const claim = genClaim(`lamina-${name}`, { status: { phase: 'Bound', capacity: { storage: '1Gi' } } })
const bound: ClaimFinding = { kind: 'bound', claim }

interface Given {
  finding: ClaimFinding
  overlay?: PersistentOverlay
  attachments?: Attachment[]
  overdue?: string[]
  /** The condition Healthy, as a node's agent wrote it beside the controller's. */
  agent?: { status: 'True' | 'False'; reason: string; message: string }
}

const statusOf = ({ finding, overlay = genOverlay(name), attachments = [], overdue = [], agent }: Given) => {
  const status = statusAfter(overlay, { finding, attachments, overdue, base: undefined, now })
  const ofAgent = agent && { type: 'Healthy', ...agent, observedGeneration: 1, lastTransitionTime: timestamp(now) }
  return { ...status, conditions: [...(status.conditions ?? []), ...(ofAgent ? [ofAgent] : [])] }
}

const told = (state: string, given: Given, kstatus: Kstatus, health: Health): State => ({
  ...{ kind: 'PersistentOverlay', name: state, kstatus, health },
  object: { ...(given.overlay ?? genOverlay(name)), status: statusOf(given) },
})

const seen = {
  usage: {
    ...{ usedBytes: 1, usedInodes: 1, capacityBytes: 2 ** 29, capacityInodes: 2 },
    observedTime: '2026-01-01T11:00:00Z',
  },
}
const written: Attachment = {
  ...{ instanceUID: 'uid-dev', instanceName: 'dev', access: 'ReadWrite' },
  attachTime: '2026-01-01T11:00:00Z',
}
const damaged = { status: 'False', reason: unhealthy.damaged, message: 'e2fsck -p leaves it to you' } as const
const stalled = (reason: string, message: string): Health => ({ status: 'Degraded', message: `${reason}: ${message}` })

/** Each finding of a pass, at least once. */
export const overlayFindings = {
  bound: [
    told('bound', { finding: bound }, 'Current', { status: 'Healthy', message: 'Bound' }),
    told(
      'growsAtNextStart',
      { finding: bound, overlay: genOverlay(name, { spec: { size: '1Gi' }, status: seen }) },
      'Current',
      {
        status: 'Healthy',
        message: 'Bound; AtNextStart: the file system grows when the next instance starts to write to it',
      },
    ),
    told(
      'notReleased',
      { finding: bound, attachments: [written], overdue: ['pod dev should have ended: node n1 does not answer'] },
      'Current',
      {
        status: 'Healthy',
        message:
          'Bound; NotReleased: dev has it for writing since 2026-01-01T11:00:00Z; pod dev should have ended: node n1 does not answer',
      },
    ),
    told(
      'checkNeeded',
      { finding: bound, agent: { status: 'False', reason: unhealthy.checkNeeded, message: 'the journal is damaged' } },
      'Current',
      { status: 'Healthy', message: 'Bound; CheckNeeded: the journal is damaged' },
    ),
    told(
      'errorsNoted',
      { finding: bound, agent: { status: 'False', reason: unhealthy.errorsNoted, message: 'the kernel noted 3' } },
      'Current',
      { status: 'Degraded', message: 'FileSystemErrors: the kernel noted 3' },
    ),
    told('damaged', { finding: bound, agent: damaged }, 'Current', {
      status: 'Degraded',
      message: 'FileSystemDamaged: e2fsck -p leaves it to you',
    }),
    told('clean', { finding: bound, agent: { status: 'True', reason: 'Clean', message: '' } }, 'Current', {
      status: 'Healthy',
      message: 'Bound',
    }),
  ],
  waitsForConsumer: [
    told('waitsForFirstConsumer', { finding: { kind: 'waitsForConsumer', claim } }, 'Current', {
      status: 'Healthy',
      message: 'WaitingForFirstConsumer: the volume is made when the first instance starts with it',
    }),
  ],
  pending: [
    told('provisioning', { finding: { kind: 'pending', claim, trouble: undefined } }, 'InProgress', {
      status: 'Progressing',
      message: 'Provisioning: the volume is being made',
    }),
    told('provisioningFailed', { finding: { kind: 'pending', claim, trouble: 'no space in pool' } }, 'InProgress', {
      status: 'Progressing',
      message:
        'ProvisioningFailed: the volume is not made: no space in pool: make the overlay anew with another size or storage.storageClassName, or have the StorageClass mended',
    }),
  ],
  refused: [
    told(
      'claimRefused',
      { finding: { kind: 'refused', claim: undefined, message: 'exceeded quota: storage' } },
      'InProgress',
      { status: 'Degraded', message: 'ClaimRefused: exceeded quota: storage' },
    ),
  ],
  previousClaim: [
    told('previousClaim', { finding: { kind: 'previousClaim', message: 'lamina-work is ending' } }, 'InProgress', {
      status: 'Progressing',
      message: 'WaitingForPreviousClaim: lamina-work is ending',
    }),
  ],
  absent: [
    told('claimNotFound', { finding: { kind: 'absent', message: 'there is no claim "mine"' } }, 'InProgress', {
      status: 'Progressing',
      message: 'ClaimNotFound: there is no claim "mine"',
    }),
  ],
  notAllowed: [
    told(
      'notAllowed',
      { finding: { kind: 'notAllowed', message: 'not in team' } },
      'Failed',
      stalled(notAllowedReason, 'not in team'),
    ),
  ],
  unsuitable: [
    told(
      'unsuitable',
      { finding: { kind: 'unsuitable', reason: 'VolumeModeMismatch', message: 'the claim is a device' } },
      'Failed',
      stalled('VolumeModeMismatch', 'the claim is a device'),
    ),
  ],
  taken: [
    told(
      'claimTaken',
      { finding: { kind: 'taken', message: 'overlay "other" has it' } },
      'Failed',
      stalled(takenReason, 'overlay "other" has it'),
    ),
  ],
  foreign: [
    told(
      'claimNotOurs',
      { finding: { kind: 'foreign', message: 'lamina-work is not ours' } },
      'Failed',
      stalled('ClaimNotOurs', 'lamina-work is not ours'),
    ),
  ],
  lost: [
    told(
      'claimLost',
      { finding: { kind: 'lost', message: 'lamina-work is gone' } },
      'Failed',
      stalled('ClaimLost', 'lamina-work is gone'),
    ),
  ],
} satisfies Record<ClaimFinding['kind'], State[]>

export const failingOverlay: State = failingOf('PersistentOverlay', genOverlay(name), statusOf({ finding: bound }))

const unseen = (state: string, object: PersistentOverlay): State => ({
  ...{ kind: 'PersistentOverlay', name: state, kstatus: 'InProgress', object },
  health: { status: 'Progressing', message: unseenMessage },
})

/** Between two passes. */
export const unseenOverlays: State[] = [
  unseen('created', { ...genOverlay(name), status: { observedGeneration: -1 } }),
  unseen('edited', genOverlay(name, { metadata: { generation: 2 }, status: statusOf({ finding: bound }) })),
]
