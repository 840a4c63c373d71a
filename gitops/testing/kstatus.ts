import type { Condition } from '../../crds/common.ts'

/** What kubectl, Helm, Flux and others see in an object. */
export type Kstatus = 'Terminating' | 'InProgress' | 'Failed' | 'Current'

interface ObjectWithStatus {
  metadata: { generation?: number | undefined; deletionTimestamp?: string | undefined }
  status?: { observedGeneration?: number | undefined; conditions?: readonly Condition[] | undefined } | undefined
}

/**
 * kstatus' rules for kinds that it does not know, as `pkg/kstatus/status` of
 * kubernetes-sigs/cli-utils has them: deletion, generation, the first of
 * Reconciling and Stalled that is True, Ready; what says nothing is Current.
 */
export const kstatusOf = ({ metadata, status = {} }: ObjectWithStatus): Kstatus => {
  if (metadata.deletionTimestamp) return 'Terminating'
  const { observedGeneration, conditions = [] } = status
  const isKnown = metadata.generation !== undefined && observedGeneration !== undefined
  if (isKnown && observedGeneration !== metadata.generation) return 'InProgress'
  const abnormal = conditions.find(
    (each) => each.status === 'True' && (each.type === 'Reconciling' || each.type === 'Stalled'),
  )
  if (abnormal) return abnormal.type === 'Stalled' ? 'Failed' : 'InProgress'
  const ready = conditions.find(({ type }) => type === 'Ready')
  return ready && ready.status !== 'True' ? 'InProgress' : 'Current'
}
