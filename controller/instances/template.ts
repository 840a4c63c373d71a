import type { V1Affinity, V1Container, V1PodSpec } from '@kubernetes/client-node'
import type { PodTemplate } from '../../crds/instance.ts'

/** Items of one name are merged, in our place; further ones of theirs follow. */
const mergeNamed = <T extends { name: string }>(
  ours: readonly T[],
  theirs: readonly T[],
  merge: (our: T, their: T) => T,
): T[] => {
  const rest = new Map(theirs.map((item) => [item.name, item]))
  const merged = ours.map((item) => {
    const their = rest.get(item.name)
    rest.delete(item.name)
    return their ? merge(item, their) : item
  })
  return [...merged, ...rest.values()]
}

const mergeContainer = (our: V1Container, their: V1Container): V1Container => ({
  ...our,
  ...their,
  ...(our.securityContext || their.securityContext
    ? { securityContext: { ...our.securityContext, ...their.securityContext } }
    : {}),
  env: mergeNamed(our.env ?? [], their.env ?? [], (_, variable) => variable),
  volumeMounts: [...(our.volumeMounts ?? []), ...(their.volumeMounts ?? [])],
  ...(our.volumeDevices || their.volumeDevices
    ? { volumeDevices: [...(our.volumeDevices ?? []), ...(their.volumeDevices ?? [])] }
    : {}),
})

/** Ours is a must (readers of one volume run on one node); theirs comes on top. */
const mergeAffinity = (ours: V1Affinity | undefined, theirs: V1Affinity | undefined): V1PodSpec['affinity'] => {
  const must = 'requiredDuringSchedulingIgnoredDuringExecution'
  if (!ours || !theirs) return ours ?? theirs
  const terms = [...(ours.podAffinity?.[must] ?? []), ...(theirs.podAffinity?.[must] ?? [])]
  return { ...theirs, podAffinity: { ...theirs.podAffinity, [must]: terms } }
}

/** The template laid over our pod: scalars replace, lists of named items merge by name. */
export const applyTemplate = (ours: V1PodSpec, template: PodTemplate | undefined): V1PodSpec => {
  const theirs: Partial<V1PodSpec> = template?.spec ?? {}
  const affinity = mergeAffinity(ours.affinity, theirs.affinity)
  return {
    ...ours,
    ...theirs,
    ...(affinity ? { affinity } : {}),
    nodeSelector: { ...ours.nodeSelector, ...theirs.nodeSelector },
    securityContext: { ...ours.securityContext, ...theirs.securityContext },
    containers: mergeNamed(ours.containers, theirs.containers ?? [], mergeContainer),
    // Ours comes first: it tells of trouble before the user's own have done anything.
    initContainers: [...(ours.initContainers ?? []), ...(theirs.initContainers ?? [])],
    volumes: [...(ours.volumes ?? []), ...(theirs.volumes ?? [])],
  }
}
