import type { KubeClient } from '../../../kube/client.ts'
import { type Clock, timestamp } from '../../../kube/clock.ts'
import type { Logger } from '../../../kube/log.ts'
import { pendingReason, preparedCondition } from '../../../kube/names.ts'
import { podCondition } from '../../../kube/pod-condition.ts'
import { type Pod, pods } from '../../../kube/resources.ts'
import { fieldManager } from './report.ts'

/** Tells in the pod's condition how far a long fetch is: its Instance, or its ContainerImage, repeats it. */
export interface PendingTeller {
  /** Not before the fetch is a long one, and then not each time. */
  line(message: string): void
  /** What the pod's condition said before is so again: who tells a trouble compares it with that. */
  takeBack(): void
  /** Resolves when what was told is written: what is told next comes after it. */
  end(): Promise<void>
}

const firstAfterMs = 5_000
const everyMs = 10_000

export const createPendingTeller = (
  { client, clock, log }: { client: Pick<KubeClient, 'apply'>; clock: Pick<Clock, 'now'>; log: Logger },
  pod: Pod,
): PendingTeller => {
  const { namespace, name, uid } = pod.metadata
  const condition = podCondition(pod, preparedCondition)
  const before = condition?.reason === pendingReason ? undefined : condition
  const started = clock.now()
  let due = started.getTime() + firstAfterMs
  let last: Promise<void> | undefined

  const write = async (condition: object): Promise<void> => {
    const body = { metadata: { namespace, name, uid }, status: { conditions: [condition] } }
    try {
      await client.apply(pods, body, { fieldManager, subresource: 'status' })
    } catch (error) {
      log.warn({ err: error, kind: 'Pod', namespace, name }, 'how far the fetch is could not be told')
    }
  }

  const queue = (told: object): void => {
    last = (last ?? Promise.resolve()).then(() => write({ type: preparedCondition, ...told }))
  }

  return {
    line: (message) => {
      const now = clock.now().getTime()
      if (now < due) return
      due = now + everyMs
      queue({ status: 'False', reason: pendingReason, message, lastTransitionTime: timestamp(started) })
    },
    takeBack: () => {
      if (!last || !before) return
      const { reason, message, lastTransitionTime } = before
      queue({ status: before.status, reason, message, lastTransitionTime })
    },
    end: async () => last,
  }
}
