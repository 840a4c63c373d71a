import { hasReason, type KubeClient } from '../../../kube/client.ts'
import type { Clock } from '../../../kube/clock.ts'
import { type Pod, pods } from '../../../kube/resources.ts'
import type { MountRecord } from '../../node/ticket.ts'
import { judge } from './judge.ts'
import type { Observed } from './observe.ts'
import { idleReport, isAsked, type Use } from './report.ts'

/** Apart from what else the agent says of a pod: each apply is all that its manager says. */
const fieldManager = 'lamina-node-idle'

export interface IdleParts {
  client: Pick<KubeClient, 'apply'>
  clock: Pick<Clock, 'now'>
  /** The node's pods that are not ending. */
  pods(): Pod[]
  /** The newest record of its main container; undefined before it has one. */
  recordOf(pod: Pod): MountRecord | undefined
  observe(record: MountRecord): Observed | undefined
  /** Takes what was written into the copy of the node's pods. */
  note(pod: Pod): void
}

interface Watched {
  observed: Observed
  atMs: number
  idleSince: Date | undefined
}

/**
 * Looks at each pod of which somebody asks whether it is used, and says so in a
 * condition of the pod when that changes. What was before this process began is
 * not known: it counts from there.
 *
 * @throws when the API server does not answer; what was not told is told at the next look
 */
export const createIdleWatch = ({ client, clock, ...parts }: IdleParts): { look(): Promise<void> } => {
  let watched = new Map<string, Watched>()

  const useOf = (record: MountRecord, observed: Observed, now: Date): Use | undefined => {
    const before = watched.get(record.containerID)
    const atMs = now.getTime()
    const known: Watched = { observed, atMs, idleSince: undefined }
    watched.set(record.containerID, known)
    if (!before || atMs <= before.atMs) return undefined
    const { isUsed, seen } = judge(before.observed, observed, atMs - before.atMs)
    if (isUsed) return { kind: 'used', seen }
    known.idleSince = before.idleSince ?? now
    return { kind: 'idle', since: known.idleSince, seen }
  }

  /** A pod that has gone meanwhile needs no word. */
  const tell = async (pod: Pod, use: Use, now: Date): Promise<void> => {
    const condition = idleReport(pod, use, now)
    if (!condition) return
    const { namespace, name, uid } = pod.metadata
    const body = { metadata: { namespace, name, uid }, status: { conditions: [condition] } }
    try {
      parts.note(await client.apply(pods, body, { fieldManager, subresource: 'status' }))
    } catch (error) {
      if (!hasReason(error, 'NotFound', 'Conflict')) throw error
    }
  }

  return {
    look: async () => {
      const now = clock.now()
      const asked = parts.pods().filter(isAsked)
      const looks = asked.flatMap((pod) => {
        const record = parts.recordOf(pod)
        const observed = record && parts.observe(record)
        return record && observed ? [{ pod, containerID: record.containerID, use: useOf(record, observed, now) }] : []
      })
      const seen = new Set(looks.map(({ containerID }) => containerID))
      watched = new Map([...watched].filter(([containerID]) => seen.has(containerID)))
      for (const { pod, use } of looks) if (use) await tell(pod, use, now)
    },
  }
}
