import type { AllowedSources } from '../../kube/allowed-sources.ts'
import type { KubeClient } from '../../kube/client.ts'
import type { Clock } from '../../kube/clock.ts'
import type { Logger } from '../../kube/log.ts'
import type { NodeLayout } from '../node/layout.ts'

/** What all of the agent's work on a node goes through. */
export interface NodeServices {
  layout: NodeLayout
  client: KubeClient
  allowedSources: AllowedSources
  clock: Clock
  log: Logger
}
