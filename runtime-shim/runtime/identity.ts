import { containers } from '../../kube/names.ts'
import type { OciConfig } from './bundle.ts'

/** Which of a pod's containers a bundle is for, as its container runtime and the kubelet say it. */
export interface ContainerIdentity {
  podUID: string
  role: 'main' | 'prepare' | 'other'
}

/** The annotations by which one container runtime says what a container is; `value` is what it writes itself, last. */
interface Annotations {
  type: string
  name: string
  podUID: string
}

/** containerd (internal/cri/annotations) lets none of a pod's own annotations into the bundle unless its handler lists them. */
const containerd: Annotations = {
  type: 'io.kubernetes.cri.container-type',
  name: 'io.kubernetes.cri.container-name',
  // Since containerd 2.0.
  podUID: 'io.kubernetes.cri.sandbox-uid',
}

/**
 * CRI-O (SpecAddAnnotations in internal/factory/container) writes the pod's own
 * annotations first, then over them its own, and last the labels of the
 * kubelet, which are these two. So a pod can forge containerd's names there, and
 * none of these.
 */
const criO: Annotations = {
  type: 'io.kubernetes.cri-o.ContainerType',
  name: 'io.kubernetes.container.name',
  podUID: 'io.kubernetes.pod.uid',
}

/**
 * The pod of a cgroup path that the kubelet chose (GetPodCgroupNameSuffix), and
 * that no pod can choose: `…/pod<uid>/<container>`, or for systemd
 * `…-pod<uid, with _ for ->.slice:<prefix>:<container>`. Undefined for another,
 * as with the kubelet's `cgroupsPerQOS: false`.
 */
export const podUIDOfCgroup = (cgroupsPath: string): string | undefined => {
  const slice = /-pod([^-/:]+)\.slice:[^/:]*:[^/:]*$/.exec(cgroupsPath)?.[1]
  return slice?.replaceAll('_', '-') ?? /(?:^|\/)pod([^/:]+)\/[^/:]+$/.exec(cgroupsPath)?.[1]
}

const roleOf = (type: string | undefined, name: string | undefined): ContainerIdentity['role'] => {
  if (type !== 'container') return 'other'
  return name === containers.main || name === containers.prepare ? name : 'other'
}

/** It becomes a directory's name. */
const podUIDPattern = /^[0-9a-zA-Z][0-9a-zA-Z-]{0,63}$/

/**
 * Sandboxes, the user's init containers, sidecars and debug containers are `other`.
 *
 * @throws for one of ours of which nothing says whose pod it is in, or two things say it differently
 */
export const identify = ({ annotations, linux }: Pick<OciConfig, 'annotations' | 'linux'>): ContainerIdentity => {
  const names = criO.type in annotations ? criO : containerd
  const role = roleOf(annotations[names.type], annotations[names.name])
  if (role === 'other') return { podUID: '', role }
  const told = annotations[names.podUID]
  const byCgroup = podUIDOfCgroup(linux?.cgroupsPath ?? '')
  if (told !== undefined && byCgroup !== undefined && told !== byCgroup)
    throw new Error(`the container runtime says that this is of pod ${told}, but its cgroup is of pod ${byCgroup}`)
  const podUID = told ?? byCgroup ?? ''
  if (!podUIDPattern.test(podUID)) {
    throw new Error(
      `the container runtime does not say which pod it is for: neither the annotation ${names.podUID} nor linux.cgroupsPath has a pod's uid`,
    )
  }
  return { podUID, role }
}
