import type { V1Affinity, V1Container, V1EnvVar, V1Pod, V1PodSpec, V1SecurityContext } from '@kubernetes/client-node'
import type { ImageConfig } from '../../crds/common.ts'
import type { Instance, InstanceSpec } from '../../crds/instance.ts'
import type { OverlayBase } from '../../crds/persistent-overlay.ts'
import {
  annotations,
  containers,
  idleCommand,
  labels,
  managedByValue,
  releaseFinalizer,
  runtimeClassName,
} from '../../kube/names.ts'
import { ownerReferenceTo } from '../child.ts'
import { prepareContainer } from '../unprivileged.ts'
import type { PullSecret } from './base.ts'
import { reportAtChanges } from './lifecycle/idle.ts'
import { type ClaimedOverlay, ourMounts, ourVolumes, type VolumeParts } from './pod-volumes.ts'
import { applyTemplate } from './template.ts'
import { templateHash } from './template-hash.ts'

export interface PodParts {
  instance: Instance
  /** That the node reads its image with. */
  pullSecrets: readonly PullSecret[]
  /** What it runs on. */
  chosen: OverlayBase
  /** In the order of the instance's spec, each with its claim. */
  overlays: readonly ClaimedOverlay[]
  /** Image of the placeholder and of `prepare`: the operator's own, on every node already. */
  placeholderImage: string
  /** Whether the init container `prepare` is needed. */
  prepare: boolean
}

/** What an image says is literal; Kubernetes would expand `$(X)` and halve `$$`. */
const escapeExpansion = (text: string): string => text.replaceAll('$', () => '$$')

const imageEnv = ({ env = [] }: ImageConfig): V1EnvVar[] =>
  env.flatMap((pair) => {
    const equals = pair.indexOf('=')
    return equals < 1 ? [] : [{ name: pair.slice(0, equals), value: escapeExpansion(pair.slice(equals + 1)) }]
  })

/** The user's own of a name replaces the image's. */
const environment = (config: ImageConfig, own: readonly V1EnvVar[]): V1EnvVar[] => {
  const names = new Set(own.map(({ name }) => name))
  return [...imageEnv(config).filter(({ name }) => !names.has(name)), ...own]
}

const idles = ({ command, args, entrypoint, restartPolicy }: InstanceSpec): boolean =>
  !command && !args && (entrypoint ?? (restartPolicy === 'Always' ? 'Idle' : 'Image')) === 'Idle'

/** `command` and `args` as Kubernetes has them over an image; Idle waits to be exec'd into. */
const processOf = (spec: InstanceSpec, config: ImageConfig): Pick<V1Container, 'command' | 'args'> => {
  const { entrypoint = [], cmd = [] } = config
  const escaped = (words: string[]) => words.map(escapeExpansion)
  if (spec.command) return { command: spec.command, args: spec.args ?? [] }
  if (spec.args) {
    // Without an entrypoint the first argument is the program.
    const [program = '', ...rest] = spec.args
    return entrypoint.length > 0
      ? { command: escaped(entrypoint), args: spec.args }
      : { command: [program], args: rest }
  }
  if (idles(spec)) return { command: [...idleCommand], args: [] }
  const [program = '', ...rest] = [...entrypoint, ...cmd]
  return { command: escaped([program]), args: escaped(rest) }
}

/** Whether the pod's main container must not run as root. */
const runsAsNonRoot = ({ podTemplate }: InstanceSpec): boolean => {
  const spec = podTemplate?.spec
  const main = spec?.containers?.find(({ name }) => name === containers.main)
  return main?.securityContext?.runAsNonRoot ?? spec?.securityContext?.runAsNonRoot ?? false
}

const asksForUser = ({ podTemplate }: InstanceSpec): boolean => {
  const spec = podTemplate?.spec
  const main = spec?.containers?.find(({ name }) => name === containers.main)
  return (main?.securityContext?.runAsUser ?? spec?.securityContext?.runAsUser) !== undefined
}

/**
 * The image's user, where numbers can say it. A named one is left to the node,
 * which has the image's passwd; root under runAsNonRoot too, which refuses it.
 */
const userOf = (spec: InstanceSpec, { user = '' }: ImageConfig): V1SecurityContext | undefined => {
  if (asksForUser(spec)) return undefined
  if (user === '' || user === 'root' || user === '0') return runsAsNonRoot(spec) ? undefined : { runAsUser: 0 }
  const [, uid, gid] = /^(\d+)(?::(\d+))?$/.exec(user) ?? []
  if (uid === undefined || (Number(uid) === 0 && runsAsNonRoot(spec))) return undefined
  return { runAsUser: Number(uid), ...(gid === undefined ? {} : { runAsGroup: Number(gid) }) }
}

const volumePartsOf = ({ instance: { spec }, pullSecrets, chosen, overlays }: PodParts): VolumeParts => ({
  ...{ spec, pullSecrets, chosen, overlays },
})

const mainContainer = (parts: PodParts): V1Container => {
  const { spec } = parts.instance
  const { volumeMounts, ...devices } = ourMounts(volumePartsOf(parts))
  const { config } = parts.chosen
  const user = userOf(spec, config)
  // Said always: the placeholder image's own would show otherwise.
  const workingDir = spec.workingDir || config.workingDir || '/'
  return {
    name: containers.main,
    image: parts.placeholderImage,
    imagePullPolicy: 'IfNotPresent',
    ...processOf(spec, config),
    env: environment(config, spec.env ?? []),
    ...(spec.envFrom ? { envFrom: spec.envFrom } : {}),
    workingDir,
    ...(spec.ports ? { ports: spec.ports } : {}),
    ...(spec.resources ? { resources: spec.resources } : {}),
    volumeMounts: [...volumeMounts, ...(spec.volumeMounts ?? [])],
    ...devices,
    ...(user ? { securityContext: user } : {}),
  }
}

/** Readers of a ReadWriteOnce claim must run where the others do. */
const affinity = ({ overlays }: PodParts): { affinity: V1Affinity } | undefined => {
  const holders = overlays
    .filter(({ overlay }) => overlay.spec.storage.accessMode === 'ReadWriteOnce')
    .flatMap(({ overlay }) => overlay.status.attachments ?? [])
    .filter(({ access }) => access === 'ReadOnly')
    .map(({ instanceName }) => instanceName)
  if (holders.length < 2) return undefined
  const labelSelector = { matchExpressions: [{ key: labels.instance, operator: 'In', values: [...new Set(holders)] }] }
  return {
    affinity: {
      podAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: 'kubernetes.io/hostname', labelSelector }],
      },
    },
  }
}

const ourSpec = (parts: PodParts): V1PodSpec => {
  const { spec } = parts.instance
  const { platform } = parts.chosen
  return {
    runtimeClassName,
    // With a fsGroup the kubelet would otherwise go over the volume at every start.
    securityContext: { fsGroupChangePolicy: 'OnRootMismatch' },
    restartPolicy: spec.restartPolicy,
    nodeSelector: { 'kubernetes.io/os': platform.os, 'kubernetes.io/arch': platform.architecture },
    ...affinity(parts),
    ...(parts.prepare
      ? { initContainers: [prepareContainer(parts.placeholderImage, ourMounts(volumePartsOf(parts)))] }
      : {}),
    containers: [mainContainer(parts)],
    volumes: [...ourVolumes(volumePartsOf(parts)), ...(spec.volumes ?? [])],
  }
}

/** The instance's pod: named as it is, so one name fences one pod. */
export const podOf = (parts: PodParts): V1Pod => {
  const { metadata, spec } = parts.instance
  const { stopSignal } = parts.chosen.config
  const template = spec.podTemplate
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: metadata.name,
      namespace: metadata.namespace,
      labels: {
        ...template?.metadata?.labels,
        [labels.instance]: metadata.name,
        [labels.managedBy]: managedByValue,
      },
      annotations: {
        [annotations.defaultContainer]: containers.main,
        ...template?.metadata?.annotations,
        [annotations.templateHash]: templateHash(parts),
        ...(spec.idleTimeoutSeconds === undefined ? {} : { [annotations.reportIdle]: reportAtChanges }),
        ...(stopSignal === undefined || idles(spec) ? {} : { [annotations.stopSignal]: stopSignal }),
      },
      finalizers: [releaseFinalizer],
      ownerReferences: [ownerReferenceTo('Instance', parts.instance)],
    },
    spec: applyTemplate(ourSpec(parts), template),
  }
}
