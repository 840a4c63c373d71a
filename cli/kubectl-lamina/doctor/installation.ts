import { readyNodeLabel, runtimeClassName } from '../../../kube/names.ts'
import type { Event, Node } from '../../../kube/resources.ts'
import { adviceFor } from './advice.ts'
import type { Finding } from './finding.ts'

/** What was seen of the installation. `undefined`: it may not be read, or nothing answered. */
export interface Installation {
  /** Whether the API server knows the three kinds. */
  hasKinds: boolean
  controllers: readonly Controller[] | undefined
  agents: readonly { namespace: string; name: string; desired: number; ready: number }[] | undefined
  /** Where an agent is ready. */
  agentNodes: ReadonlySet<string> | undefined
  hasRuntimeClass: boolean | undefined
  nodes: readonly Node[] | undefined
  /** About nodes, oldest first. */
  nodeEvents: readonly Event[]
}

export interface Controller {
  namespace: string
  name: string
  replicas: number
  ready: number
  /** Its condition lamina.dev/Guarded. */
  guarded?: { status: string; message: string } | undefined
}

const subject = 'installation'
const install = 'install Lamina by its chart: docs/install.md'

const unseen = (what: string): Finding => ({
  subject,
  level: 'note',
  what: `you may not see ${what}: that is not looked at`,
})

const ofControllers = (controllers: Installation['controllers']): Finding[] => {
  if (!controllers) return [unseen('Deployments of all namespaces')]
  if (controllers.length === 0) return [{ subject, level: 'wrong', what: 'there is no controller', next: install }]
  return controllers.flatMap(({ namespace, name, replicas, ready, guarded }): Finding[] => [
    ready > 0
      ? {
          subject,
          level: ready < replicas ? 'note' : 'ok',
          what: `controller ${namespace}/${name}: ${ready} of ${replicas} are ready`,
        }
      : {
          subject,
          level: 'wrong',
          what: `controller ${namespace}/${name}: none of ${replicas} is ready, so nothing is started, stopped or told`,
          next:
            replicas === 0
              ? `kubectl -n ${namespace} scale deployment ${name} --replicas=2`
              : `kubectl -n ${namespace} describe deployment ${name}, and the logs of its pods`,
        },
    ...(guarded && guarded.status !== 'True'
      ? [{ subject, level: 'wrong', what: guarded.message, next: 'docs/security.md, and helm upgrade' } as const]
      : []),
  ])
}

const ofAgents = (agents: Installation['agents']): Finding[] => {
  if (!agents) return [unseen('DaemonSets of all namespaces')]
  if (agents.length === 0) return [{ subject, level: 'wrong', what: 'there are no node agents', next: install }]
  return agents.map(({ namespace, name, desired, ready }) => {
    if (desired === 0)
      return {
        subject,
        level: 'wrong',
        what: `agents ${namespace}/${name}: no node is to have one, so no instance starts`,
        next: `kubectl -n ${namespace} get daemonset ${name} -o wide shows its node selector: label a node so, or correct the chart's value agent.nodeSelector`,
      }
    return ready === desired
      ? { subject, level: 'ok', what: `agents ${namespace}/${name}: on ${ready} of ${desired} nodes` }
      : {
          subject,
          level: 'wrong',
          what: `agents ${namespace}/${name}: ready on ${ready} of ${desired} nodes`,
          next: `kubectl -n ${namespace} get pods -o wide, and the logs of those that are not ready`,
        }
  })
}

const isReady = ({ status }: Node): boolean =>
  status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') === true

/**
 * @param events about this node, oldest first
 * @param hasAgent whether an agent is ready there; undefined where that cannot be seen
 */
export const findingOfNode = (node: Node, events: readonly Event[], hasAgent?: boolean): Finding => {
  const { name, labels } = node.metadata
  const about = `node/${name}`
  if (!isReady(node))
    return {
      subject: about,
      level: 'wrong',
      what: 'its kubelet does not answer',
      next: `kubectl describe node ${name}`,
    }
  const corrupt = events.findLast(({ reason }) => reason === 'ImageCorrupt')
  const noted = corrupt ? `; ${corrupt.message}` : ''
  if (labels[readyNodeLabel] === 'true' && hasAgent === false)
    return {
      subject: about,
      level: 'wrong',
      what: `it has the label ${readyNodeLabel}=true, and no agent that is ready: what is scheduled there does not start`,
      next: `see whether an agent runs there, and its log; docs/nodes.md`,
    }
  if (labels[readyNodeLabel] === 'true') return { subject: about, level: 'ok', what: `takes instances${noted}` }
  const refused = events.findLast(({ reason }) => reason === 'HandlerRefused')
  if (refused)
    return {
      subject: about,
      level: 'wrong',
      what: `takes no instances: ${refused.message ?? ''}`,
      next: adviceFor('HandlerRefused', { name, namespace: '' }),
    }
  const isTainted = node.spec?.taints?.some(({ effect }) => effect !== 'PreferNoSchedule') === true
  return {
    subject: about,
    level: isTainted ? 'note' : 'wrong',
    what: `takes no instances: it has not the label ${readyNodeLabel}=true${isTainted ? ', and is tainted, so perhaps it is not to' : ''}`,
    next: `see whether an agent runs there, and its log; docs/nodes.md`,
  }
}

const ofNodes = ({ nodes, nodeEvents, agentNodes }: Installation): Finding[] => {
  if (!nodes) return [unseen('Nodes')]
  const each = nodes.map((node) =>
    findingOfNode(
      node,
      nodeEvents.filter(({ involvedObject }) => involvedObject.name === node.metadata.name),
      agentNodes?.has(node.metadata.name),
    ),
  )
  if (nodes.some(({ metadata }) => metadata.labels[readyNodeLabel] === 'true')) return each
  return [
    ...each,
    {
      subject,
      level: 'wrong',
      what: 'no node takes instances, so none is scheduled',
      next: 'mend what the nodes above say',
    },
  ]
}

export const findingsOfInstallation = (seen: Installation): Finding[] => {
  if (!seen.hasKinds)
    return [
      {
        subject,
        level: 'wrong',
        what: "the cluster does not know Lamina's kinds: it is not installed here",
        next: install,
      },
    ]
  const runtimeClass: Finding[] =
    seen.hasRuntimeClass === undefined
      ? [unseen('RuntimeClasses')]
      : seen.hasRuntimeClass
        ? []
        : [
            {
              subject,
              level: 'wrong',
              what: `there is no RuntimeClass "${runtimeClassName}"`,
              next: 'helm upgrade brings it back',
            },
          ]
  return [...ofControllers(seen.controllers), ...ofAgents(seen.agents), ...runtimeClass, ...ofNodes(seen)]
}
