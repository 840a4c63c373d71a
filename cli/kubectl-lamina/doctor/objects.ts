import type { Condition } from '../../../crds/common.ts'
import type { ContainerImage } from '../../../crds/container-image.ts'
import type { Instance } from '../../../crds/instance.ts'
import type { PersistentOverlay } from '../../../crds/persistent-overlay.ts'
import { formatShare } from '../../../kube/bytes.ts'
import { conditionOf } from '../../../kube/conditions.ts'
import { standingOf, stateWord } from '../../../kube/instance-standing.ts'
import type { Event, Pod } from '../../../kube/resources.ts'
import { throwAwayLabel } from '../run/make.ts'
import { troubleOf } from '../run/pod-trouble.ts'
import { adviceFor, adviceForEvent, type Subject } from './advice.ts'
import type { Finding } from './finding.ts'
import { memoryFindings } from './memory.ts'

/** What is wrong with one object, from its status and its Events alone. */

const words = ({ reason, message }: Pick<Condition, 'reason' | 'message'>): string =>
  message === '' ? reason : `${reason}: ${message}`

const of = (
  subject: string,
  level: Finding['level'],
  condition: Pick<Condition, 'reason' | 'message'>,
  about: Subject,
): Finding => ({ subject, level, what: words(condition), next: adviceFor(condition.reason, about) })

interface Observed {
  metadata: { generation: number }
  status: { observedGeneration?: number | undefined; conditions?: Condition[] | undefined }
}

/** Nobody has looked at the object as it is now. */
const unobserved = (subject: string, { metadata, status }: Observed): Finding[] =>
  (status.observedGeneration ?? -1) >= metadata.generation
    ? []
    : [
        {
          subject,
          level: 'wrong',
          what: 'the controller has not looked at it since it was made or changed',
          next: 'nothing, if that was a moment ago; else kubectl lamina doctor tells whether the controller is up',
        },
      ]

type Told = readonly (Condition | undefined)[]

const isTold = (told: Told, { reason, message = '' }: Event): boolean =>
  told.some((each) => each && (each.reason === reason || (each.message !== '' && message.includes(each.message))))

/** The newest of each reason that says something else than the conditions do, and than each other. */
const warnings = (subject: string, events: readonly Event[], about: Subject, told: Told): Finding[] => {
  const newest = new Map<string, Event>()
  for (const event of events) if (event.type === 'Warning') newest.set(event.reason ?? '', event)
  const byMessage = new Map([...newest.values()].map((event) => [event.message ?? '', event]))
  return [...byMessage.values()]
    .filter((event) => !isTold(told, event))
    .map((event) => {
      const { reason, message } = troubleOf(event)
      const at = event.lastTimestamp ? String(event.lastTimestamp) : 'late'
      return {
        subject,
        level: 'note',
        what: `Event of ${at}: ${words({ reason, message })}`,
        next: adviceForEvent(reason, about),
      }
    })
}

const sound = (subject: string, what: string): Finding => ({ subject, level: 'ok', what })

/**
 * @param events oldest first, of the instance and of its pod
 * @param pod its own, where it was looked at
 */
export const findingsOfInstance = (instance: Instance, events: readonly Event[], pod?: Pod): Finding[] => {
  const { metadata, spec, status } = instance
  const subject = `instance/${metadata.name}`
  const overlay = (spec.overlays.find(({ access }) => access === 'ReadWrite') ?? spec.overlays[0])?.name
  const about = { ...metadata, overlay, image: spec.imageRef.name }
  const stale = unobserved(subject, instance)
  if (stale.length > 0) return stale
  const ready = conditionOf(status.conditions, 'Ready')
  const standing = standingOf(instance)
  const isRest = standing.kind === 'atRest' || (standing.kind === 'ended' && !standing.exitCode)
  const beside = (['OverlaysReady', 'UpToDate', 'ServiceReady'] as const).flatMap((type) => {
    const condition = conditionOf(status.conditions, type)
    const isNews = condition?.status === 'False' && condition.reason !== ready?.reason
    return isNews ? [condition] : []
  })
  const main =
    ready?.status === 'True' && !isRest
      ? sound(subject, stateWord(instance))
      : of(subject, isRest ? 'note' : 'wrong', ready ?? { reason: 'Starting', message: '' }, about)
  const forgotten: Finding[] =
    metadata.labels[throwAwayLabel] === 'true' && isRest
      ? [
          {
            subject,
            level: 'note',
            what: 'a throw-away that was left behind',
            next: `kubectl -n ${metadata.namespace} delete instance ${metadata.name}`,
          },
        ]
      : []
  const past = main.level === 'ok' ? [] : warnings(subject, events, about, [ready, ...beside])
  // One that was left behind is not to be started.
  const first = forgotten.length > 0 ? forgotten : [main]
  const more = beside.map((condition) =>
    of(subject, condition.reason === 'OverlayClaimDeleted' ? 'wrong' : 'note', condition, about),
  )
  return [...first, ...memoryFindings(instance, pod), ...more, ...past]
}

const nearlyFull = 0.85

const fullness = (subject: string, { metadata, status: { usage } }: PersistentOverlay): Finding[] => {
  if (!usage) return []
  const shares = [
    { what: 'bytes', part: usage.usedBytes, whole: usage.capacityBytes },
    { what: 'inodes', part: usage.usedInodes, whole: usage.capacityInodes },
  ]
  return shares
    .filter(({ part, whole }) => whole > 0 && part / whole >= nearlyFull)
    .map(({ what, part, whole }) => ({
      subject,
      level: 'wrong',
      what: `${formatShare(part, whole)} of its ${what} are in use`,
      next: adviceFor('OverlayFull', { ...metadata, overlay: metadata.name }),
    }))
}

export const findingsOfOverlay = (overlay: PersistentOverlay, events: readonly Event[]): Finding[] => {
  const { metadata, status } = overlay
  const subject = `overlay/${metadata.name}`
  const about = { ...metadata, overlay: metadata.name }
  const stale = unobserved(subject, overlay)
  if (stale.length > 0) return stale
  const ready = conditionOf(status.conditions, 'Ready')
  const healthy = conditionOf(status.conditions, 'Healthy')
  const attached = conditionOf(status.conditions, 'Attached')
  const allocated = conditionOf(status.conditions, 'Allocated')
  const resizing = conditionOf(status.conditions, 'Resizing')
  const writer = status.attachments?.find(({ access }) => access === 'ReadWrite')?.instanceName ?? metadata.name
  const troubles = [
    ...(ready?.status === 'True'
      ? []
      : [of(subject, 'wrong', ready ?? { reason: 'Provisioning', message: '' }, about)]),
    ...(healthy?.status === 'False' ? [of(subject, 'wrong', healthy, about)] : []),
    ...(attached?.reason === 'NotReleased' ? [of(subject, 'wrong', attached, about)] : []),
    ...(resizing?.reason === 'OverlayTooSmall' ? [of(subject, 'wrong', resizing, about)] : []),
    ...(resizing?.reason === 'RestartRequired' ? [of(subject, 'note', resizing, { ...about, name: writer })] : []),
    ...(resizing?.status === 'True' && resizing.reason !== 'RestartRequired'
      ? [{ subject, level: 'note', what: `it grows: ${words(resizing)}` } as const]
      : []),
    ...fullness(subject, overlay),
    ...(allocated?.status === 'False' ? [of(subject, 'note', allocated, about)] : []),
  ] satisfies Finding[]
  const isSound = !troubles.some(({ level }) => level === 'wrong')
  return isSound
    ? [sound(subject, healthy ? `whole (${healthy.reason})` : 'nothing written to it yet'), ...troubles]
    : [...troubles, ...warnings(subject, events, about, [ready, healthy, attached, resizing, allocated])]
}

export const findingsOfImage = (image: ContainerImage, events: readonly Event[]): Finding[] => {
  const { metadata, status } = image
  const subject = `image/${metadata.name}`
  const about = { ...metadata, image: metadata.name }
  const stale = unobserved(subject, image)
  if (stale.length > 0) return stale
  const ready = conditionOf(status.conditions, 'Ready')
  const quiet = new Set(['NotAsked', 'NotResolved', 'Fetching'])
  const beside = (['Refreshed', 'Prefetched'] as const).flatMap((type) => {
    const condition = conditionOf(status.conditions, type)
    const isNews = condition?.status === 'False' && !quiet.has(condition.reason)
    return isNews ? [of(subject, 'wrong', condition, about)] : []
  })
  if (ready?.status === 'True') return [sound(subject, ready.message || ready.reason), ...beside]
  const main = of(subject, 'wrong', ready ?? { reason: 'Resolving', message: '' }, about)
  return [main, ...beside, ...warnings(subject, events, about, [ready])]
}
