import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { isMounted } from './containers.ts'
import { readJson } from './json-file.ts'
import { containerPaths, type NodeLayout, podPaths } from './layout.ts'
import { namesIn } from './names-in.ts'
import { type MountRecord, mountRecordSchema, type RecordedOverlay, type Ticket } from './ticket.ts'

/** Who has an overlay on this node, by the records of all its pods. */
interface Holder {
  podUID: string
  record: MountRecord
  access: RecordedOverlay['access']
}

/** Readers share a mount, which therefore tells nothing of one of them: that one counts until it is deleted. */
const holds = (layout: NodeLayout, { containerID }: MountRecord, overlay: RecordedOverlay): boolean =>
  isMounted(overlay) && (overlay.access === 'ReadWrite' || existsSync(containerPaths(layout, containerID).mount))

/** Containers that have the overlay mounted now, the longest holder first. */
const holdersOf = (layout: NodeLayout, overlayUID: string): Holder[] =>
  namesIn(join(layout.stateDir, 'pods'))
    .flatMap((podUID) => {
      const { mounts } = podPaths(layout, podUID)
      const files = namesIn(mounts).filter((name) => name.endsWith('.json'))
      const records = files.flatMap((name) => readJson(join(mounts, name), mountRecordSchema) ?? [])
      return records.flatMap((record) =>
        record.overlays
          .filter((overlay) => overlay.uid === overlayUID && holds(layout, record, overlay))
          .map(({ access }) => ({ podUID, record, access })),
      )
    })
    .toSorted((a, b) => a.record.createTime.localeCompare(b.record.createTime))

const purpose = { ReadWrite: 'for writing', ReadOnly: 'for reading' } as const

const nameOf = ({ record, podUID }: Holder, ownPodUID: string): string => {
  if (podUID === ownPodUID) return `an earlier container of this pod (${record.containerID})`
  return record.instance ? `instance ${record.instance.namespace}/${record.instance.name}` : `pod ${podUID}`
}

/**
 * Which of the ticket's overlays another container of this node has, who and
 * since when, in a sentence; undefined when no record tells, as when Apptainer has it.
 *
 * @param id of the container that wants them
 */
export const contentionOver = (
  layout: NodeLayout,
  id: string,
  { pod, overlays }: Pick<Ticket, 'pod' | 'overlays'>,
): string | undefined => {
  for (const { name, uid, access } of overlays) {
    const [first, ...others] = holdersOf(layout, uid)
      .filter(({ record }) => record.containerID !== id)
      .filter((holder) => access === 'ReadWrite' || holder.access === 'ReadWrite')
    if (!first) continue
    const more = others.length > 0 ? `, and ${others.length} more` : ''
    const since = `${purpose[first.access]} on this node since ${first.record.createTime}`
    return `overlay "${name}" is in use: ${nameOf(first, pod.uid)} has it ${since}${more}`
  }
  return undefined
}
