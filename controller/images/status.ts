import type { ContainerImage, ContainerImageStatus } from '../../crds/container-image.ts'
import { mergeConditions, type Standing, standingConditions } from '../conditions.ts'
import { countsOf, type PrefetchFinding, prefetchedVerdict } from './prefetch.ts'
import type { Finding } from './resolve.ts'

const standingOf = (finding: Finding): Standing => {
  switch (finding.kind) {
    case 'resolved':
      return { kind: 'ready', reason: 'Resolved', message: finding.resolved.reference }
    case 'failed':
      return { kind: 'progressing', reason: finding.reason, message: finding.message }
    case 'unsuitable':
    case 'notAllowed':
      return { kind: 'stalled', reason: finding.reason, message: finding.message }
  }
}

/** The whole status after a pass. */
export const statusAfter = (
  { metadata: { generation }, status }: ContainerImage,
  { finding, prefetch }: { finding: Finding; prefetch: PrefetchFinding },
  now: Date,
): ContainerImageStatus => {
  const daemonSet = 'daemonSet' in prefetch ? prefetch.daemonSet : undefined
  const verdicts = [...standingConditions(standingOf(finding)), prefetchedVerdict(prefetch)]
  return {
    observedGeneration: generation,
    ...(finding.kind === 'resolved' ? { resolved: finding.resolved } : {}),
    ...(daemonSet && 'pods' in prefetch ? { prefetch: countsOf(daemonSet, prefetch.pods) } : {}),
    conditions: mergeConditions(status.conditions, verdicts, { generation, now }),
  }
}
