import { hasReason } from '../../../kube/client.ts'
import { deployments } from '../../../kube/deployments.ts'
import { guardedCondition, runtimeClassName } from '../../../kube/names.ts'
import { podCondition } from '../../../kube/pod-condition.ts'
import { daemonSets, events, instances, nodes, type Pod, pods } from '../../../kube/resources.ts'
import type { Connection } from '../connection.ts'
import { byTime } from '../events.ts'
import { ifAllowed } from '../if-allowed.ts'
import { byName } from '../listing.ts'
import { named } from '../named.ts'
import type { Installation } from './installation.ts'

const runtimeClasses = named({
  group: 'node.k8s.io',
  version: 'v1',
  plural: 'runtimeclasses',
  kind: 'RuntimeClass',
  namespaced: false,
})

const partOf = (component: string): string => `app.kubernetes.io/name=lamina,app.kubernetes.io/component=${component}`

const knowsKinds = async ({ client, namespace }: Connection): Promise<boolean> => {
  try {
    await ifAllowed(client.list(instances, { namespace }))
    return true
  } catch (error) {
    if (hasReason(error, 'NotFound')) return false
    throw error
  }
}

const isReady = (pod: Pod): boolean => podCondition(pod, 'Ready')?.status === 'True'

/** Where an agent is ready. */
export const lookForAgents = async ({ client }: Pick<Connection, 'client'>): Promise<Set<string> | undefined> => {
  const agents = await ifAllowed(client.list(pods, { labelSelector: partOf('agent') }))
  return agents && new Set(agents.filter(isReady).flatMap(({ spec }) => spec?.nodeName ?? []))
}

export const lookAtInstallation = async (connection: Connection): Promise<Installation> => {
  const { client } = connection
  const [hasKinds, controllers, agents, agentNodes, runtimeClass, allNodes, nodeEvents] = await Promise.all([
    knowsKinds(connection),
    ifAllowed(client.list(deployments, { labelSelector: partOf('controller') })),
    ifAllowed(client.list(daemonSets, { labelSelector: partOf('agent') })),
    lookForAgents(connection),
    ifAllowed(client.list(runtimeClasses)),
    ifAllowed(client.list(nodes)),
    ifAllowed(client.list(events, { namespace: 'default', fieldSelector: 'involvedObject.kind=Node' })),
  ])
  return {
    hasKinds,
    controllers: controllers?.map(({ metadata, spec, status }) => ({
      ...metadata,
      replicas: spec.replicas,
      ready: status.readyReplicas,
      guarded: status.conditions.find(({ type }) => type === guardedCondition),
    })),
    agents: agents?.map(({ metadata, status }) => ({
      ...metadata,
      desired: status?.desiredNumberScheduled ?? 0,
      ready: status?.numberReady ?? 0,
    })),
    agentNodes,
    hasRuntimeClass: runtimeClass?.some(({ metadata }) => metadata.name === runtimeClassName),
    nodes: allNodes && byName(allNodes),
    nodeEvents: byTime(nodeEvents ?? []),
  }
}
