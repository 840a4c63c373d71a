import type { ContainerImage } from '../crds/container-image.ts'
import type { Instance } from '../crds/instance.ts'
import type { PersistentOverlay } from '../crds/persistent-overlay.ts'
import type { KubeClient } from '../kube/client.ts'
import type { Clock } from '../kube/clock.ts'
import type { EventRecorder } from '../kube/events.ts'
import type { Reflector } from '../kube/reflector.ts'
import type { DaemonSet, PersistentVolumeClaim, Pod, Service, StorageClass } from '../kube/resources.ts'
import type { ClaimTroubles } from './overlays/claim-troubles.ts'
import type { Settings } from './settings.ts'

/** What every reconciler is handed. */
export interface Context {
  client: KubeClient
  caches: {
    images: Reflector<ContainerImage>
    overlays: Reflector<PersistentOverlay>
    instances: Reflector<Instance>
    pods: Reflector<Pod>
    claims: Reflector<PersistentVolumeClaim>
    daemonSets: Reflector<DaemonSet>
    prefetchPods: Reflector<Pod>
    services: Reflector<Service>
    storageClasses: Reflector<StorageClass>
  }
  events: EventRecorder
  clock: Clock
  settings: Settings
  claimTroubles: ClaimTroubles
  /** Runs one at a time for each of the claims: whoever decides on attachments sees what the one before wrote. */
  serially<T>(claims: readonly string[], act: () => Promise<T>): Promise<T>
}

/** When to look again although nothing changes. */
export interface Result {
  requeueAfterMs?: number
}
