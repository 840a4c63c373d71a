import type { ContainerImage, ContainerImageStatus } from '../../crds/container-image.ts'
import { mergeConditions, type Standing, standingConditions } from '../conditions.ts'
import { countsOf, type PrefetchFinding, prefetchedVerdict } from './prefetch.ts'
import { handledRequest, type Refresh, refreshedVerdict } from './refresh.ts'
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
  image: ContainerImage,
  { finding, refresh, prefetch }: { finding: Finding; refresh: Refresh; prefetch: PrefetchFinding },
  now: Date,
): ContainerImageStatus => {
  const { generation } = image.metadata
  const daemonSet = 'daemonSet' in prefetch ? prefetch.daemonSet : undefined
  const verdicts = [
    ...standingConditions(standingOf(finding)),
    refreshedVerdict(image, finding, refresh),
    prefetchedVerdict(prefetch),
  ]
  return {
    observedGeneration: generation,
    ...(finding.kind === 'resolved' ? { resolved: finding.resolved } : {}),
    ...handledRequest(image, refresh),
    ...(daemonSet && 'pods' in prefetch ? { prefetch: countsOf(daemonSet, prefetch.pods) } : {}),
    conditions: mergeConditions(image.status.conditions, verdicts, { generation, now }),
  }
}
