import { describe, expect, test } from 'vitest'
import { identify, podUIDOfCgroup } from './identity.ts'

const podUID = '5f0e0d2c-0a1b-4c3d-8e9f-000000000001'
const otherUID = '5f0e0d2c-0a1b-4c3d-8e9f-000000000002'
const underscored = podUID.replaceAll('-', '_')
const id = 'f00d'.repeat(16)

/** As containerd writes them (internal/cri/annotations). */
const containerd = (changes: Record<string, string> = {}) => ({
  'io.kubernetes.cri.container-type': 'container',
  'io.kubernetes.cri.container-name': 'main',
  'io.kubernetes.cri.image-name': 'registry.example/lamina:0.1.0',
  'io.kubernetes.cri.sandbox-id': id,
  'io.kubernetes.cri.sandbox-name': 'dev',
  'io.kubernetes.cri.sandbox-namespace': 'default',
  ...changes,
})

/** As CRI-O writes them over the pod's own: its own, then the kubelet's annotations and labels of the container. */
const criO = (changes: Record<string, string> = {}, ofThePod: Record<string, string> = {}) => ({
  ...ofThePod,
  'io.kubernetes.cri-o.ContainerType': 'container',
  'io.kubernetes.cri-o.SandboxID': id,
  'io.kubernetes.cri-o.SandboxName': 'k8s_POD_dev_default_0',
  'io.kubernetes.cri-o.Name': 'k8s_main_dev_default_0',
  'io.kubernetes.cri-o.Labels': `{"io.kubernetes.container.name":"main","io.kubernetes.pod.uid":"${podUID}"}`,
  'io.kubernetes.container.hash': 'c0ffee',
  'io.kubernetes.container.name': 'main',
  'io.kubernetes.pod.name': 'dev',
  'io.kubernetes.pod.namespace': 'default',
  'io.kubernetes.pod.uid': podUID,
  ...changes,
})

describe('the pod of a cgroup', () => {
  test.each([
    ['cgroupfs, burstable, containerd', `/kubepods/burstable/pod${podUID}/${id}`],
    ['cgroupfs, guaranteed, containerd', `/kubepods/pod${podUID}/${id}`],
    ['cgroupfs, under a root of its own', `/machine/kubepods/besteffort/pod${podUID}/${id}`],
    ['cgroupfs, CRI-O', `/kubepods/besteffort/pod${podUID}/crio-${id}`],
    ['systemd, burstable, containerd', `kubepods-burstable-pod${underscored}.slice:cri-containerd:${id}`],
    ['systemd, guaranteed, containerd', `kubepods-pod${underscored}.slice:cri-containerd:${id}`],
    ['systemd, under a root of its own', `kubelet-kubepods-besteffort-pod${underscored}.slice:cri-containerd:${id}`],
    ['systemd, CRI-O', `kubepods-besteffort-pod${underscored}.slice:crio:${id}`],
    [
      'systemd, the whole path',
      `/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod${underscored}.slice:crio:${id}`,
    ],
  ])('%s', (_what, path) => {
    expect(podUIDOfCgroup(path)).toBe(podUID)
  })

  test('of a static pod is a hash', () => {
    const hash = '0123456789abcdef0123456789abcdef'
    expect(podUIDOfCgroup(`/kubepods/burstable/pod${hash}/${id}`)).toBe(hash)
    expect(podUIDOfCgroup(`kubepods-burstable-pod${hash}.slice:cri-containerd:${id}`)).toBe(hash)
  })

  test.each([
    '',
    `/k8s.io/${id}`,
    `system.slice:crio:${id}`,
    `/kubepods/burstable/pod${podUID}`,
    `kubepods-burstable.slice:cri-containerd:pod${podUID}`,
  ])('"%s" has none', (path) => {
    expect(podUIDOfCgroup(path)).toBeUndefined()
  })
})

describe('a container of containerd', () => {
  test('2: its pod is an annotation', () => {
    const annotations = containerd({ 'io.kubernetes.cri.sandbox-uid': podUID })
    expect(identify({ annotations, linux: { cgroupsPath: `/k8s.io/${id}` } })).toEqual({ podUID, role: 'main' })
  })

  test.each([
    `/kubepods/burstable/pod${podUID}/${id}`,
    `kubepods-burstable-pod${underscored}.slice:cri-containerd:${id}`,
  ])('1: its pod is that of the cgroup %s', (cgroupsPath) => {
    expect(identify({ annotations: containerd(), linux: { cgroupsPath } })).toEqual({ podUID, role: 'main' })
  })

  test.each([
    ['main', 'main'],
    ['prepare', 'prepare'],
    ['sidecar', 'other'],
    ['mainly', 'other'],
  ])('by the name %s is %s', (name, role) => {
    const annotations = containerd({
      'io.kubernetes.cri.container-name': name,
      'io.kubernetes.cri.sandbox-uid': podUID,
    })
    expect(identify({ annotations, linux: {} }).role).toBe(role)
  })

  test('that is a sandbox is nobody’s, whatever it is named', () => {
    const annotations = containerd({ 'io.kubernetes.cri.container-type': 'sandbox' })
    expect(identify({ annotations, linux: {} }).role).toBe('other')
  })
})

describe('a container of CRI-O', () => {
  const linux = { cgroupsPath: `kubepods-burstable-pod${underscored}.slice:crio:${id}` }

  test.each([
    ['main', 'main'],
    ['prepare', 'prepare'],
    ['sidecar', 'other'],
    ['POD', 'other'],
  ])('by the name %s is %s', (name, role) => {
    const annotations = criO({ 'io.kubernetes.container.name': name })
    expect(identify({ annotations, linux }).role).toBe(role)
  })

  test('is of the pod that its label and its cgroup tell', () => {
    expect(identify({ annotations: criO(), linux })).toEqual({ podUID, role: 'main' })
  })

  test('that is a sandbox is nobody’s', () => {
    const annotations = criO({ 'io.kubernetes.cri-o.ContainerType': 'sandbox' })
    expect(identify({ annotations, linux }).role).toBe('other')
  })

  test("gains nothing by containerd's annotations, which a pod can write there", () => {
    const forged = containerd({ 'io.kubernetes.cri.sandbox-uid': otherUID })
    expect(identify({ annotations: criO({}, forged), linux })).toEqual({ podUID, role: 'main' })
    const sidecar = criO({ 'io.kubernetes.container.name': 'sidecar' }, forged)
    expect(identify({ annotations: sidecar, linux }).role).toBe('other')
  })
})

test('a container without annotations is nobody’s', () => {
  expect(identify({ annotations: {}, linux: {} }).role).toBe('other')
})

describe('no pod is taken', () => {
  test('where annotation and cgroup contradict each other', () => {
    const annotations = containerd({ 'io.kubernetes.cri.sandbox-uid': otherUID })
    const linux = { cgroupsPath: `/kubepods/pod${podUID}/${id}` }
    expect(() => identify({ annotations, linux })).toThrow(`is of pod ${otherUID}, but its cgroup is of pod ${podUID}`)
  })

  test.each(['', '../../../etc', 'a/b'])('where the annotation says "%s"', (uid) => {
    const annotations = containerd({ 'io.kubernetes.cri.sandbox-uid': uid })
    expect(() => identify({ annotations, linux: {} })).toThrow(/does not say which pod/)
  })

  test.each([{}, { cgroupsPath: '/kubepods/pod../x' }])('where nothing tells: %j', (linux) => {
    expect(() => identify({ annotations: containerd(), linux })).toThrow(/does not say which pod/)
  })
})
