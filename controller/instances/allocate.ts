import type { Instance, OverlayUse } from '../../crds/instance.ts'
import type { Attachment, PersistentOverlay } from '../../crds/persistent-overlay.ts'

/** Instance that wants overlays, as the allocator sees it. */
export interface Claimant {
  uid: string
  name: string
  overlays: readonly OverlayUse[]
  /** Since when it waits, or now when it does not yet; in seconds, as conditions have it. */
  since: string
  waits: boolean
}

/** An overlay's attachments as they are to be written. */
export interface OverlayClaim {
  overlay: PersistentOverlay
  attachments: Attachment[]
  writes: boolean
}

/** Who has an overlay, or waits for it. */
export interface Holder {
  /** Name of the Instance. */
  name: string
  since: string
}

export type Allocation =
  /** Overlays to write, each with its attachments after the claim; empty when all are held already. */
  | { kind: 'granted'; claims: OverlayClaim[] }
  | { kind: 'missing'; overlay: string }
  | { kind: 'blocked'; overlay: string; by: Holder[]; why: 'writer' | 'readers' | 'queue' }

const compatible = (access: Attachment['access'], held: readonly Attachment[]): boolean =>
  access === 'ReadWrite' ? held.length === 0 : held.every((attachment) => attachment.access === 'ReadOnly')

const writes = ({ overlays }: Claimant): boolean => overlays.some(({ access }) => access === 'ReadWrite')

/**
 * First come, first served. Times are whole seconds: within one, who waits
 * already is first, then who wants to write, for readers could keep him out by
 * their number; then the smaller uid.
 */
const comesBefore = (a: Claimant, b: Claimant): boolean => {
  if (a.since !== b.since) return a.since < b.since
  if (a.waits !== b.waits) return a.waits
  if (writes(a) !== writes(b)) return writes(a)
  return a.uid < b.uid
}

/**
 * Whether `claimant` may have all of its overlays now: all or none, so that two
 * never wait for each other with one half each. A waiting writer that came
 * earlier blocks later readers, so that readers cannot starve it, and all who
 * wait come in their order.
 *
 * @param others instances that wait too, in any order
 */
export const allocate = (
  claimant: Claimant,
  overlays: ReadonlyMap<string, PersistentOverlay>,
  others: readonly Claimant[],
  attachTime: string,
): Allocation => {
  const claims: OverlayClaim[] = []
  for (const { name, access } of claimant.overlays) {
    const overlay = overlays.get(name)
    if (!overlay) return { kind: 'missing', overlay: name }
    const attachments = overlay.status.attachments ?? []
    const own = attachments.find(({ instanceUID }) => instanceUID === claimant.uid)
    const held = attachments.filter(({ instanceUID }) => instanceUID !== claimant.uid)
    const [holder] = held
    if (holder && !compatible(access, held)) {
      const why = holder.access === 'ReadWrite' ? 'writer' : 'readers'
      const by = held.map(({ instanceName, attachTime }) => ({ name: instanceName, since: attachTime }))
      return { kind: 'blocked', overlay: name, by, why }
    }
    if (own?.access === access) {
      // An attachment that was rebuilt from a pod came without the image that it writes upon.
      if (access === 'ReadWrite' && !overlay.status.base) claims.push({ overlay, attachments, writes: true })
      continue
    }
    const earlier = others.find(
      (other) =>
        comesBefore(other, claimant) &&
        other.overlays.some((use) => use.name === name && (use.access === 'ReadWrite' || access === 'ReadWrite')),
    )
    if (earlier) {
      const by = [{ name: earlier.name, since: earlier.since }]
      return { kind: 'blocked', overlay: name, by, why: 'queue' }
    }
    const mine: Attachment = { instanceUID: claimant.uid, instanceName: claimant.name, access, attachTime }
    claims.push({ overlay, attachments: [...held, mine], writes: access === 'ReadWrite' })
  }
  return { kind: 'granted', claims }
}

export const claimantOf = (
  { metadata, spec }: Instance,
  { since, waits }: Pick<Claimant, 'since' | 'waits'>,
): Claimant => ({ uid: metadata.uid, name: metadata.name, overlays: spec.overlays, since, waits })
