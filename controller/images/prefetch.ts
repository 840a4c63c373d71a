import type { V1DaemonSet } from '@kubernetes/client-node'
import { type ContainerImage, type ContainerImageStatus, pullSecretsOf } from '../../crds/container-image.ts'
import {
  annotations,
  holdContainer,
  labels,
  managedByValue,
  pendingReason,
  prefetchName,
  readyNodeLabel,
  runtimeClassName,
} from '../../kube/names.ts'
import type { DaemonSet, Pod } from '../../kube/resources.ts'
import { childOf, markOf } from '../child.ts'
import { type ConditionVerdict, verdict } from '../conditions.ts'
import type { PullSecret } from '../instances/base.ts'
import { pullSecretMounts, pullSecretVolumes } from '../instances/pod-volumes.ts'
import { prepareContainer, restrictedContext } from '../unprivileged.ts'
import { countTroubledReady, type NodeTrouble, troublesOf } from './node-troubles.ts'
import type { Resolved } from './resolve.ts'

type Prefetch = NonNullable<ContainerImageStatus['prefetch']>

/** An idle process: a DaemonSet's pods may not end. */
const hold = (image: string) => ({
  name: holdContainer,
  image,
  imagePullPolicy: 'IfNotPresent',
  command: ['catatonit', '-P'],
  resources: { requests: { cpu: '1m', memory: '4Mi' } },
  securityContext: restrictedContext,
})

const requiredSecrets = ({ spec }: ContainerImage): PullSecret[] =>
  pullSecretsOf(spec.source).map(({ name }) => ({ name, optional: false }))

const podTemplate = (image: ContainerImage, { reference, platform }: Resolved, operatorImage: string) => ({
  metadata: {
    labels: { [labels.prefetch]: image.metadata.name, [labels.managedBy]: managedByValue },
    annotations: { [annotations.imageReference]: reference },
  },
  spec: {
    runtimeClassName,
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    terminationGracePeriodSeconds: 5,
    // A DaemonSet counts nodes by its own selector, and knows nothing of that of the RuntimeClass.
    nodeSelector: {
      ...image.spec.prefetch?.nodeSelector,
      'kubernetes.io/os': platform.os,
      'kubernetes.io/arch': platform.architecture,
      [readyNodeLabel]: 'true',
    },
    initContainers: [prepareContainer(operatorImage, { volumeMounts: pullSecretMounts(requiredSecrets(image)) })],
    containers: [hold(operatorImage)],
    volumes: pullSecretVolumes(requiredSecrets(image)),
  },
})

/**
 * The DaemonSet by which the nodes fetch the image: on each, the agent sees a
 * pod that is labelled with the image's name, and `prepare` waits for it.
 */
export const prefetchOf = (image: ContainerImage, resolved: Resolved, operatorImage: string) => {
  const { name } = image.metadata
  const selector = { [labels.prefetch]: name }
  const spec = {
    selector: { matchLabels: selector },
    // Nobody needs the pods of the image before.
    updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: '100%' } },
    template: podTemplate(image, resolved, operatorImage),
  }
  const child = { name: prefetchName(name), labels: selector }
  return childOf({ kind: 'ContainerImage', owner: image }, child, spec) satisfies V1DaemonSet
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null

/** Whether all of `part` is in `whole`, which may have more. */
const isWithin = (part: unknown, whole: unknown): boolean => {
  if (!isObject(part) || !isObject(whole)) return part === whole
  if (Array.isArray(part) && Array.isArray(whole) && part.length !== whole.length) return false
  return Object.entries(part).every(([key, value]) => value === undefined || isWithin(value, whole[key]))
}

/**
 * Whether the DaemonSet is what would be made now: by our own mark, so that what
 * others have changed in it stays; or by what it is, where they took the mark off.
 */
export const isAsDesired = (daemonSet: DaemonSet, desired: ReturnType<typeof prefetchOf>): boolean => {
  const mark = markOf(daemonSet)
  return mark === undefined ? isWithin(desired.spec, daemonSet.spec) : mark === markOf(desired)
}

/** How far it is; nothing while the DaemonSet's controller has not looked at the newest template. */
export const countsOf = (daemonSet: DaemonSet, pods: readonly Pod[]): Prefetch => {
  const { metadata, status } = daemonSet
  const observed = status?.observedGeneration === metadata.generation
  const updated = observed ? (status?.updatedNumberScheduled ?? 0) : 0
  return {
    desiredNodes: status?.desiredNumberScheduled ?? 0,
    readyNodes: Math.max(0, Math.min(updated, status?.numberReady ?? 0) - countTroubledReady(pods, daemonSet)),
  }
}

/** How the prefetch stands. */
export type PrefetchFinding =
  | { kind: 'none' }
  /** The image is not resolved. */
  | { kind: 'waiting'; daemonSet: DaemonSet | undefined; pods: readonly Pod[] }
  /** With the pods that it has made. */
  | { kind: 'there'; daemonSet: DaemonSet; pods: readonly Pod[] }
  /** Another thing has the name, or the API server does not take ours. */
  | { kind: 'refused'; reason: string; message: string }

const shownTroubles = 3

const onNodes = ({ nodes: [first = '', ...others], reason, message }: NodeTrouble): string => {
  const more = others.length > 0 ? ` and ${others.length} more` : ''
  return `on ${first}${more}: ${reason}: ${message}`
}

const fetching = (counted: string, troubles: readonly NodeTrouble[], image: string): ConditionVerdict => {
  const told = troubles.slice(0, shownTroubles).map(onNodes)
  const worst = troubles.find(({ reason }) => reason !== pendingReason)
  const where = `kubectl logs -c prepare -l ${labels.prefetch}=${image} tells more`
  return verdict('Prefetched', 'False', worst?.reason ?? 'Fetching', `${[counted, ...told].join('; ')}: ${where}`)
}

const fetched = (daemonSet: DaemonSet, pods: readonly Pod[]): ConditionVerdict => {
  const { desiredNodes, readyNodes } = countsOf(daemonSet, pods)
  const isObserved = daemonSet.status?.observedGeneration === daemonSet.metadata.generation
  if (isObserved && desiredNodes === 0) {
    return verdict(
      'Prefetched',
      'False',
      'NoNode',
      'no node that can run instances has the labels of spec.prefetch.nodeSelector',
    )
  }
  const message = `${readyNodes} of ${desiredNodes} nodes have the image`
  return isObserved && readyNodes === desiredNodes
    ? verdict('Prefetched', 'True', 'AllNodes', message)
    : fetching(message, troublesOf(pods, daemonSet), daemonSet.metadata.labels[labels.prefetch] ?? '')
}

export const prefetchedVerdict = (finding: PrefetchFinding): ConditionVerdict => {
  switch (finding.kind) {
    case 'none':
      return verdict('Prefetched', 'False', 'NotAsked')
    case 'waiting':
      return verdict('Prefetched', 'False', 'NotResolved', 'nodes fetch the image when it is resolved')
    case 'refused':
      return verdict('Prefetched', 'False', finding.reason, finding.message)
    case 'there':
      return fetched(finding.daemonSet, finding.pods)
  }
}
