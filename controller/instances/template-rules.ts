import { posix } from 'node:path'
import type { V1Container, V1PodSpec } from '@kubernetes/client-node'
import type { InstanceSpec } from '../../crds/instance.ts'
import type { PersistentOverlay } from '../../crds/persistent-overlay.ts'
import { containers, mountRoot, volumePrefix } from '../../kube/names.ts'
import { parseQuantity } from '../../kube/quantity.ts'
import { badQuantity } from './template-quantities.ts'

/** One thing that a podTemplate may not ask for: says what is wrong and the way out, or nothing. */
type TemplateRule = (
  spec: InstanceSpec,
  template: Partial<V1PodSpec>,
  overlays: readonly PersistentOverlay[],
) => string | undefined

const inBothPlaces: readonly (keyof InstanceSpec & keyof V1Container)[] = [
  'command',
  'args',
  'env',
  'envFrom',
  'workingDir',
  'ports',
  'resources',
  'volumeMounts',
]

const setOnce: TemplateRule = (spec, { containers: list = [] }) => {
  const main = list.find(({ name }) => name === containers.main)
  const field = inBothPlaces.find((name) => spec[name] !== undefined && main?.[name] !== undefined)
  return field && `${field} is set in spec and in podTemplate's container main: leave one of the two out`
}

const noOtherImage: TemplateRule = (_, { containers: list = [] }) =>
  list.find(({ name }) => name === containers.main)?.image === undefined
    ? undefined
    : 'podTemplate sets the image of the container main: use imageRef instead'

const noOurNames: TemplateRule = (_, { containers: list = [], initContainers = [] }) => {
  const name =
    initContainers.find((each) => each.name === containers.prepare || each.name === containers.main)?.name ??
    list.find((each) => each.name === containers.prepare)?.name
  return name && `podTemplate has a container of its own named "${name}": that name is Lamina's, choose another`
}

const notTheMain: TemplateRule = (_, { containers: list = [] }) => {
  const name = list.find((each) => each.name !== containers.main && each.image === undefined)?.name
  return (
    name &&
    `podTemplate's container "${name}" has no image: set one, or name it "${containers.main}" if the instance's own is meant`
  )
}

const aProgram: TemplateRule = (_, { containers: list = [] }) => {
  const command = list.find(({ name }) => name === containers.main)?.command
  return command && !command[0]
    ? "command of podTemplate's container main must begin with a program: leave it out for the image's own"
    : undefined
}

const fromTheRoot: TemplateRule = (_, { containers: list = [] }) => {
  const path = list.find(({ name }) => name === containers.main)?.workingDir
  return path && !path.startsWith('/')
    ? `workingDir "${path}" of podTemplate's container main must be a path from the root: /home/me`
    : undefined
}

const isReserved = (name: string): boolean => name.startsWith(volumePrefix)

const noOurVolumes: TemplateRule = (spec, template) => {
  const volumes = [...(spec.volumes ?? []), ...(template.volumes ?? [])]
  const named = volumes.find(({ name }) => isReserved(name))
  if (named) return `volume "${named.name}": names that begin with ${volumePrefix} are Lamina's, choose another`
  const claimed = volumes.find(({ persistentVolumeClaim: claim }) => claim && isReserved(claim.claimName))
  return claimed && `volume "${claimed.name}" uses a claim of Lamina's: name its overlay in spec.overlays instead`
}

/** Where a mount comes to lie, whatever its path is spelt like. */
const placeOf = (path: string): string => posix.resolve('/', path)

const noOurMounts: TemplateRule = (spec, { containers: list = [], initContainers = [] }) => {
  const inTemplate = [...list, ...initContainers].flatMap(({ volumeMounts = [], volumeDevices = [] }) => [
    ...volumeMounts.map(({ name, mountPath: path }) => ({ kind: 'volumeMount', name, path })),
    ...volumeDevices.map(({ name, devicePath: path }) => ({ kind: 'volumeDevice', name, path })),
  ])
  const own = (spec.volumeMounts ?? []).map(({ name, mountPath: path }) => ({ kind: 'volumeMount', name, path }))
  const taken = [...own, ...inTemplate].find(
    ({ name, path }) => isReserved(name) || `${placeOf(path)}/`.startsWith(`${mountRoot}/`),
  )
  return (
    taken &&
    `${taken.kind} "${taken.name}" at ${taken.path}: ${volumePrefix}* and ${mountRoot} are Lamina's, choose another`
  )
}

/** containerd mounts it over the root that was made, and nothing of that is to be seen. */
const notOverTheRoot: TemplateRule = (spec, { containers: list = [] }) => {
  const main = list.find(({ name }) => name === containers.main)
  const mount = [...(spec.volumeMounts ?? []), ...(main?.volumeMounts ?? [])].find(
    ({ mountPath }) => placeOf(mountPath) === '/',
  )
  return (
    mount && `volumeMount "${mount.name}" at ${mount.mountPath} would hide the image and its overlays: mount it below`
  )
}

const onlyQuantities: TemplateRule = ({ resources, env, volumes }, template) => {
  const bad = badQuantity({ resources, env, volumes }, 'spec') ?? badQuantity(template, 'spec.podTemplate.spec')
  return (
    bad && `${bad.path}: "${bad.value}" is not a quantity: write 500m or 2 of cpu, 512Mi or 4Gi of memory and sizes`
  )
}

/** With less a pod stays without a word, as it cannot even hold its own token; a wrong unit is the usual cause. */
const leastMemory = 2 ** 20

const enoughMemory: TemplateRule = (_, { containers: list = [], initContainers = [] }) => {
  const tight = [...list, ...initContainers].find(({ resources }) => {
    const memory = resources?.limits?.memory
    return memory !== undefined && parseQuantity(String(memory)) < leastMemory
  })
  return (
    tight &&
    `resources.limits.memory of podTemplate's container "${tight.name}" must be at least 1Mi, such as 512Mi (m means thousandths of a byte)`
  )
}

/** The kubelet would give the group every file of the volume, and so every file that was ever changed in the overlay. */
const noGroupOverDirectories: TemplateRule = (_, { securityContext }, overlays) => {
  if (securityContext?.fsGroup === undefined) return undefined
  const name = overlays.find(({ spec }) => spec.format === 'Directory')?.metadata.name
  return (
    name &&
    `podTemplate sets securityContext.fsGroup, and overlay "${name}" has format: Directory: the kubelet would change the owner of all files in it. Leave fsGroup out, or use an overlay of format: Image`
  )
}

const rules: readonly TemplateRule[] = [
  setOnce,
  noOtherImage,
  aProgram,
  fromTheRoot,
  noOurNames,
  noOurVolumes,
  noOurMounts,
  notOverTheRoot,
  onlyQuantities,
  enoughMemory,
  notTheMain,
  noGroupOverDirectories,
]

/**
 * What the spec asks for that CEL cannot check: on such long lists, or together
 * with other objects. No retry mends it.
 *
 * @param overlays those of the instance that are there
 */
export const templateProblem = (spec: InstanceSpec, overlays: readonly PersistentOverlay[]): string | undefined => {
  const template: Partial<V1PodSpec> = spec.podTemplate?.spec ?? {}
  for (const rule of rules) {
    const problem = rule(spec, template, overlays)
    if (problem) return problem
  }
  return undefined
}
