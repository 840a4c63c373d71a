import type { KubeClient } from '../../../kube/client.ts'
import { timestamp } from '../../../kube/clock.ts'
import type { EventRecorder } from '../../../kube/events.ts'
import { apiVersion, preparedCondition } from '../../../kube/names.ts'
import { instanceOwnerOf } from '../../../kube/owner.ts'
import { podCondition } from '../../../kube/pod-condition.ts'
import { type Pod, pods } from '../../../kube/resources.ts'
import type { Trouble } from '../trouble.ts'
import { fieldManager } from './report.ts'

interface Told {
  status: 'True' | 'False'
  reason: string
  message: string
}

const writeCondition = async (client: KubeClient, pod: Pod, told: Told, now: Date): Promise<boolean> => {
  const last = podCondition(pod, preparedCondition)
  if (last?.status === told.status && last.reason === told.reason && last.message === told.message) return false
  const { namespace, name, uid } = pod.metadata
  const since = last?.status === told.status ? String(last.lastTransitionTime) : timestamp(now)
  const condition = { type: preparedCondition, ...told, lastTransitionTime: since }
  const body = { metadata: { namespace, name, uid }, status: { conditions: [condition] } }
  await client.apply(pods, body, { fieldManager, subresource: 'status' })
  return true
}

/**
 * Says in the pod's condition what keeps it, and in an Event: on its Instance, or on the pod when it has none.
 *
 * @returns whether it had not been said yet
 */
export const tellTrouble = async (
  { client, events }: { client: KubeClient; events: EventRecorder },
  pod: Pod,
  trouble: Trouble,
  now: Date,
): Promise<boolean> => {
  const { reason, message } = trouble
  if (!(await writeCondition(client, pod, { status: 'False', reason, message }, now))) return false
  const owner = trouble.final ? undefined : instanceOwnerOf(pod)
  const about = owner
    ? { apiVersion, kind: owner.kind, metadata: { ...pod.metadata, name: owner.name, uid: owner.uid } }
    : { apiVersion: 'v1', kind: 'Pod', metadata: pod.metadata }
  events.event(about, 'Warning', reason, message)
  return true
}

/** Whether the pod's condition says of a trouble. */
export const isToldTrouble = (pod: Pod): boolean => podCondition(pod, preparedCondition)?.status === 'False'

/** Takes the trouble back, where one was told. */
export const tellMended = async (client: KubeClient, pod: Pod, now: Date): Promise<void> => {
  if (!isToldTrouble(pod)) return
  await writeCondition(client, pod, { status: 'True', reason: 'Prepared', message: '' }, now)
}
