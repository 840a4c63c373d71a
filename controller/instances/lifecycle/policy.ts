import type { Instance, InstanceStatus } from '../../../crds/instance.ts'
import type { Pod } from '../../../kube/resources.ts'

/** All that a policy of the lifecycle looks at. */
export interface Situation {
  instance: Instance
  pod: Pod | undefined
  now: Date
}

/** Why an instance has no pod, and is to have none. */
export interface Rest {
  /** Of the conditions Running and Ready. */
  reason: 'Stopped' | 'Idle' | 'DeadlineExceeded'
  message: string
  /** What to remember of an idle one, for its pod tells nothing any more. */
  idleStop?: InstanceStatus['idleStop']
}

export type Decision =
  /** It is to have a pod, as far as its lifecycle goes. */
  | { kind: 'run' }
  | { kind: 'rest'; rest: Rest }
  /** The Instance itself is to be deleted. */
  | { kind: 'expired'; message: string }

/** What one policy comes to: a decision, or when it will. */
export interface Ruling {
  decision?: Exclude<Decision, { kind: 'run' }>
  /** When to ask again although nothing changes, in ms since 1970. */
  reviewAtMs?: number
}

/** Pure; says nothing (`{}`) of what does not concern it. */
export type Policy = (situation: Situation) => Ruling

/** What is due at a time: decided then, looked at again before. */
export const dueAt = (atMs: number, now: Date, decide: () => Exclude<Decision, { kind: 'run' }>): Ruling =>
  now.getTime() >= atMs ? { decision: decide() } : { reviewAtMs: atMs }
