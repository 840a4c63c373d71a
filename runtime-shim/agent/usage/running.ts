import { join } from 'node:path'
import { ephemeralVolume } from '../../../kube/names.ts'
import type { NodeLayout } from '../../node/layout.ts'
import type { MountRecord, RecordedOverlay } from '../../node/ticket.ts'
import { mountsOf, recordedPods, releasedSince } from '../pods/records.ts'

/** A writable overlay that a container of this node has on record as mounted. */
export interface RunningOverlay {
  /** One mount of one overlay. */
  key: string
  namespace: string
  /** Who uses it. */
  instance: string
  name: string
  uid: string
  container: Pick<MountRecord, 'containerID' | 'pidFile'>
  record: RecordedOverlay
}

/** A throw-away overlay. */
export interface RunningEphemeral {
  namespace: string
  /** The pod has the same name. */
  instance: string
  /** Its emptyDir. */
  directory: string
}

/** What runs on this node, by the records of its mounts: a record outlives its mount for a moment. */
export interface Running {
  overlays: RunningOverlay[]
  ephemerals: RunningEphemeral[]
}

const isWritable = ({ access }: RecordedOverlay): boolean => access === 'ReadWrite'
const isMounted = ({ loop, device }: RecordedOverlay): boolean => loop !== null || device !== null

type Instance = NonNullable<MountRecord['instance']>

const overlaysOf = ({ containerID, pidFile, overlays }: MountRecord, instance: Instance): RunningOverlay[] =>
  overlays
    .filter((overlay) => isWritable(overlay) && isMounted(overlay))
    .map((record) => ({
      key: `${containerID}/${record.uid}`,
      ...{ namespace: instance.namespace, instance: instance.name, name: record.name, uid: record.uid, record },
      container: { containerID, pidFile },
    }))

/** A pod has one exactly when it writes to no overlay that lasts. */
const ephemeralOf = (
  { kubeletDir }: NodeLayout,
  podUID: string,
  { overlays }: MountRecord,
  { namespace, name }: Instance,
): RunningEphemeral[] => {
  const volumes = join(kubeletDir, 'pods', podUID, 'volumes')
  const directory = join(volumes, 'kubernetes.io~empty-dir', ephemeralVolume)
  return overlays.some(isWritable) ? [] : [{ namespace, instance: name, directory }]
}

/** Records of an earlier version of Lamina do not say whose they are: those containers are not looked at. */
export const observeRunning = (layout: NodeLayout): Running => {
  const mounts = recordedPods(layout)
    .filter((podUID) => releasedSince(layout, podUID) === undefined)
    .flatMap((podUID) => mountsOf(layout, podUID).map((record) => ({ podUID, record })))
    .flatMap(({ podUID, record }) => (record.instance ? [{ podUID, record, instance: record.instance }] : []))
  return {
    overlays: mounts.flatMap(({ record, instance }) => overlaysOf(record, instance)),
    ephemerals: mounts.flatMap(({ podUID, record, instance }) => ephemeralOf(layout, podUID, record, instance)),
  }
}
