import type { Condition } from '../../crds/common.ts'
import type { ContainerImage } from '../../crds/container-image.ts'
import type { Instance } from '../../crds/instance.ts'
import type { PersistentOverlay } from '../../crds/persistent-overlay.ts'
import { formatBytes } from '../../kube/bytes.ts'
import { conditionOf } from '../../kube/conditions.ts'
import { wakeOf } from '../../kube/instance-standing.ts'
import { annotations } from '../../kube/names.ts'

/** What the page says of each object: pure functions, from which the tables are drawn. */

/** Good: as asked, and at work. Rest: as asked, and not at work. Busy: on its way. Bad: needs somebody. */
export type Tone = 'good' | 'rest' | 'busy' | 'bad'

export interface State {
  tone: Tone
  /** One word. */
  word: string
  /** Why, in words; '' when there is nothing to say. */
  message: string
}

const isTrue = (conditions: Condition[] | undefined, type: string): boolean =>
  conditionOf(conditions, type)?.status === 'True'

const toneOf = (conditions: Condition[] | undefined, isAtWork: boolean): Tone => {
  if (isTrue(conditions, 'Stalled')) return 'bad'
  if (!isTrue(conditions, 'Ready')) return 'busy'
  return isAtWork ? 'good' : 'rest'
}

const stateOf = (conditions: Condition[] | undefined, isAtWork = true): State => {
  const ready = conditionOf(conditions, 'Ready')
  return { tone: toneOf(conditions, isAtWork), word: ready?.reason ?? 'New', message: ready?.message ?? '' }
}

export type Action = 'start' | 'stop'

export interface InstanceView {
  name: string
  image: string
  overlays: string[]
  node: string
  state: State
  action: Action
  hasTerminal: boolean
}

export const instanceView = (instance: Instance): InstanceView => {
  const { metadata, spec, status } = instance
  const isRunning = isTrue(status.conditions, 'Running')
  return {
    name: metadata.name,
    image: spec.imageRef.name,
    overlays: spec.overlays.map(({ name, access }) => (access === 'ReadOnly' ? `${name} (read only)` : name)),
    node: status.pod?.nodeName ?? '',
    state: stateOf(status.conditions, isRunning),
    action: wakeOf(instance) === 'nothing' ? 'stop' : 'start',
    hasTerminal: isRunning && metadata.deletionTimestamp === undefined,
  }
}

/** The merge patch that does it: docs/instances.md. */
export const patchFor = (action: Action, instance: Instance, now: Date): object => {
  if (action === 'stop') return { spec: { state: 'Stopped' } }
  if (wakeOf(instance) === 'state') return { spec: { state: 'Running' } }
  return { metadata: { annotations: { [annotations.startRequested]: now.toISOString() } } }
}

export interface Meter {
  /** From 0 to 1. */
  share: number
  words: string
}

export interface OverlayView {
  name: string
  size: string
  state: State
  /** Who has it, and how. */
  holders: string[]
  /** Undefined before a node has looked. */
  usage?: { bytes: Meter; inodes: Meter; observed: string }
}

const meter = (used: number, capacity: number, format: (amount: number) => string): Meter => {
  const share = capacity > 0 ? Math.min(used / capacity, 1) : 0
  return { share, words: `${format(used)} of ${format(capacity)} (${Math.round(share * 100)} %)` }
}

const damage = (conditions: Condition[] | undefined): State | undefined => {
  const healthy = conditionOf(conditions, 'Healthy')
  return healthy?.status === 'False' ? { tone: 'bad', word: healthy.reason, message: healthy.message } : undefined
}

export const overlayView = ({ metadata, spec, status }: PersistentOverlay): OverlayView => {
  const { usage, attachments = [], conditions } = status
  return {
    name: metadata.name,
    size: status.size ?? spec.size,
    state: damage(conditions) ?? stateOf(conditions),
    holders: attachments.map(({ instanceName, access }) =>
      access === 'ReadOnly' ? `${instanceName} (read only)` : instanceName,
    ),
    ...(usage
      ? {
          usage: {
            bytes: meter(usage.usedBytes, usage.capacityBytes, formatBytes),
            inodes: meter(usage.usedInodes, usage.capacityInodes, String),
            observed: usage.observedTime,
          },
        }
      : {}),
  }
}

export interface ImageView {
  name: string
  source: string
  /** The first twelve digits. */
  digest: string
  size: string
  state: State
}

/** Of a URL without its query, which may be a signature. */
const sourceOf = ({ source: { registry, file, volume } }: ContainerImage['spec']): string =>
  registry?.image ?? file?.url.split('?', 1)[0] ?? (volume ? `claim ${volume.claimName}: /${volume.path}` : '')

export const imageView = ({ metadata, spec, status: { resolved, conditions } }: ContainerImage): ImageView => ({
  name: metadata.name,
  source: sourceOf(spec),
  digest: resolved?.digest.replace(/^sha\d+:/, '').slice(0, 12) ?? '',
  size: resolved && resolved.sizeBytes > 0 ? formatBytes(resolved.sizeBytes) : '',
  state: stateOf(conditions),
})
