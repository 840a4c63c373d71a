import type { NodeReason } from '../../kube/node-reasons.ts'

/**
 * Something keeps an instance from being mounted. Told in three places: the
 * refusal that the runtime repeats, the pod's condition, and an Event.
 */
export class Trouble extends Error {
  override name = 'Trouble'
  /** CamelCase; `Image…` and `Overlay…` tell which condition of the Instance it concerns. */
  readonly reason: NodeReason
  /** No retry can mend it: a forged or foreign pod. */
  readonly final: boolean
  constructor(
    reason: NodeReason,
    message: string,
    { final = false, cause }: { final?: boolean; cause?: unknown } = {},
  ) {
    super(message, { cause })
    this.reason = reason
    this.final = final
  }
}
