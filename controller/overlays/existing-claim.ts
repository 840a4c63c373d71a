import type { PersistentOverlay } from '../../crds/persistent-overlay.ts'
import { isAllowed, notAllowed } from '../../kube/allowed-sources.ts'
import type { KubeClient } from '../../kube/client.ts'
import { claims, type PersistentVolumeClaim } from '../../kube/resources.ts'
import type { Settings } from '../settings.ts'
import { claimNameOf, volumeModeProblem } from './claim.ts'
import { type ClaimFinding, standing } from './observe-claim.ts'
import type { Provisioning } from './provisioning.ts'

/** Why the claim cannot hold the overlay as the spec has it, which cannot be changed. */
const problemOf = (claim: PersistentVolumeClaim, { spec, status }: PersistentOverlay): ClaimFinding | undefined => {
  const { name, uid } = claim.metadata
  if (status.claim?.uid !== undefined && status.claim.uid !== uid) {
    const message = `PersistentVolumeClaim ${name} is another than the one that held the data: delete this overlay and make it anew`
    return { kind: 'lost', message }
  }
  const volumeMode = volumeModeProblem(claim, spec.storage)
  if (volumeMode !== undefined) return { kind: 'unsuitable', reason: 'VolumeModeMismatch', message: volumeMode }
  const modes = claim.spec?.accessModes ?? []
  if (modes.includes(spec.storage.accessMode)) return undefined
  const message = `PersistentVolumeClaim ${name} has ${modes.join(', ') || 'no access mode'}, not storage.accessMode ${spec.storage.accessMode}: make the overlay anew with one that the claim has`
  return { kind: 'unsuitable', reason: 'AccessModeMismatch', message }
}

interface ExistingClaimContext extends Provisioning {
  client: Pick<KubeClient, 'get'>
  settings: Pick<Settings, 'allowedSources'>
}

/**
 * How a claim stands that the overlay names and Lamina did not make: it is read,
 * and nothing more. Live, for the cache has only claims with our label.
 */
export const observeExistingClaim = async (
  context: ExistingClaimContext,
  overlay: PersistentOverlay,
): Promise<ClaimFinding> => {
  const { client, settings } = context
  const { namespace } = overlay.metadata
  if (!isAllowed(settings.allowedSources, 'existingClaim', namespace)) {
    return { kind: 'notAllowed', message: notAllowed('existingClaim', namespace) }
  }
  const name = claimNameOf(overlay)
  const claim = await client.get(claims, { namespace, name })
  if (!claim || claim.metadata.deletionTimestamp) {
    const state = claim ? 'is being deleted' : `is not in namespace ${namespace}`
    return {
      kind: 'absent',
      message: `PersistentVolumeClaim ${name}, which storage.existingClaimName names, ${state}: make it there, or make an overlay with a claim of its own`,
    }
  }
  return problemOf(claim, overlay) ?? standing(context, claim, overlay)
}
