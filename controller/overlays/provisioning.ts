import type { Instance } from '../../crds/instance.ts'
import type { PersistentOverlay } from '../../crds/persistent-overlay.ts'
import type { Clock } from '../../kube/clock.ts'
import type { Reflector } from '../../kube/reflector.ts'
import type { PersistentVolumeClaim, StorageClass } from '../../kube/resources.ts'
import { manyStart } from '../instances/starting.ts'
import type { ClaimTroubles } from './claim-troubles.ts'

/** What is needed to tell how a claim without a volume stands. */
export interface Provisioning {
  caches: { storageClasses: Pick<Reflector<StorageClass>, 'get'>; instances: Pick<Reflector<Instance>, 'by'> }
  clock: Pick<Clock, 'now'>
  claimTroubles: ClaimTroubles
}

/** A provisioner that needs no longer has nothing to say. */
const usualPatienceMs = 10_000
const seldomMs = 60_000

/** With many to serve, it needs longer. */
const patienceMs = ({ caches, clock }: Pick<Provisioning, 'caches' | 'clock'>): number =>
  manyStart(caches, clock.now()) ? seldomMs : usualPatienceMs

/** Whether a volume is made for the claim only when a pod asks for it. */
export const waitsForConsumer = (
  { caches }: { caches: Pick<Provisioning['caches'], 'storageClasses'> },
  { spec: { storageClassName: name } = {} }: PersistentVolumeClaim,
): boolean => {
  const storageClass = name ? caches.storageClasses.get({ namespace: '', name }) : undefined
  return storageClass?.volumeBindingMode === 'WaitForFirstConsumer'
}

/** Since when somebody has waited for the claim's volume, in ms; 0 when nobody does yet. */
const waitedMs = (
  context: Pick<Provisioning, 'caches' | 'clock'>,
  claim: PersistentVolumeClaim,
  { status: { attachments = [] } }: PersistentOverlay,
): number => {
  const since = waitsForConsumer(context, claim)
    ? attachments.map(({ attachTime }) => attachTime)
    : [claim.metadata.creationTimestamp ?? '']
  const ages = since.map((time) => context.clock.now().getTime() - Date.parse(time))
  return Math.max(0, ...ages)
}

/** The provisioner's last words on a claim that it could not serve, when it has had time for some. */
export const provisioningTrouble = async (
  context: Provisioning,
  claim: PersistentVolumeClaim,
  overlay: PersistentOverlay,
): Promise<string | undefined> => {
  if (waitedMs(context, claim, overlay) < patienceMs(context)) return undefined
  return context.claimTroubles(claim)
}

/** When to look for such words again, for nothing tells of them: the longer it takes, the later. */
export const lookForTroubleMs = (
  context: Pick<Provisioning, 'caches' | 'clock'>,
  claim: PersistentVolumeClaim,
  overlay: PersistentOverlay,
): number => Math.min(Math.max(waitedMs(context, claim, overlay), patienceMs(context)), seldomMs)
