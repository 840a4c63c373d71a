import type { V1Container, V1Volume } from '@kubernetes/client-node'
import type { AllowedSources } from '../../../kube/allowed-sources.ts'
import { checkChain } from '../pods/chain.ts'
import { Trouble } from '../trouble.ts'
import { genuine, storedPod, type Whole } from './genuine.ts'

const everything: AllowedSources = { file: ['*'], volume: ['*'], existingClaim: ['*'], ext3Base: ['*'] }
/** What an administrator allows who allows nothing. */
export const nothing: AllowedSources = { file: [], volume: [], existingClaim: [], ext3Base: [] }

/** What the agent makes of a chain: what it grants, or the trouble that it has. */
export const verdictOn = (whole: Whole, allowed = everything) => {
  const { instance, overlay, claim, base } = whole
  const found = checkChain({ pod: storedPod(whole), instance, base, overlays: [{ overlay, claim }] }, allowed)
  return found instanceof Trouble ? { reason: found.reason, final: found.final, message: found.message } : found
}

/** The same of a genuine chain that was changed in one place. */
export const verdictAfter = (given: Parameters<typeof genuine>[0], change: (whole: Whole) => void) => {
  const whole = genuine(given)
  change(whole)
  return verdictOn(whole)
}

export const mainOf = ({ pod }: Whole): V1Container => {
  const container = pod.spec?.containers[0]
  if (!container) throw new Error('the pod has no container')
  return container
}

export const volumeOf = ({ pod }: Whole, name: string): V1Volume => {
  const found = pod.spec?.volumes?.find((each) => each.name === name)
  if (!found) throw new Error(`the pod has no volume ${name}`)
  return found
}
