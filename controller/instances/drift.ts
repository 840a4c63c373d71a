import type { Instance } from '../../crds/instance.ts'
import { conditionOf } from '../conditions.ts'
import type { Context } from '../context.ts'
import { gather, isAsSpecified, partsOf } from './start.ts'
import type { Drift } from './status.ts'
import { templateProblem } from './template-rules.ts'

/** Why no pod can be made of the spec. */
export const problemOf = ({ caches }: Context, { metadata: { namespace }, spec }: Instance): string | undefined =>
  templateProblem(
    spec,
    spec.overlays.flatMap(({ name }) => caches.overlays.get({ namespace, name }) ?? []),
  )

/** Of the spec as it is now: what goes missing later does not make another pod of the one there is. */
const isToldUpToDate = ({ metadata: { generation }, status }: Instance): boolean => {
  const told = conditionOf(status.conditions, 'UpToDate')
  return told?.status === 'True' && told.observedGeneration === generation
}

/**
 * How a pod differs from what would be made now.
 *
 * @param hash of what the pod was made from
 */
export const driftOf = (context: Context, instance: Instance, hash: string | undefined): Drift => {
  const problem = problemOf(context, instance)
  if (problem !== undefined) return { kind: 'invalid', message: problem }
  const ingredients = gather(context, instance)
  if (ingredients.kind === 'missing') {
    const trouble = ingredients.image ?? ingredients.overlays
    return trouble && !isToldUpToDate(instance) ? { kind: 'unknown', trouble } : { kind: 'none' }
  }
  const { imageTrouble: trouble, chosen } = ingredients
  const { drifted, base, leaves } = chosen
  if (!isAsSpecified(hash, partsOf(context, instance, ingredients))) return { kind: 'spec', leaves }
  if (trouble) return { kind: 'image', from: base.reference, trouble }
  if (drifted) return { kind: 'base', from: base.reference, to: drifted.reference, obstacle: drifted.obstacle }
  return { kind: 'none' }
}
