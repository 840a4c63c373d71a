import { stringify } from 'yaml'

export const provisionerName = 'lamina.dev/loop-volumes'

/** The classes that the cluster's own provisioner serves; `loop` is the default. */
const bindingModes: ReadonlyMap<string, 'WaitForFirstConsumer' | 'Immediate'> = new Map([
  ['loop', 'WaitForFirstConsumer'],
  ['loop-immediate', 'Immediate'],
])

/** Whether a claim of the class gets its volume before a pod wants it. */
export const bindsAtOnce = (storageClassName: string): boolean => bindingModes.get(storageClassName) === 'Immediate'

/** The classes as YAML documents. */
export const storageClasses = [...bindingModes]
  .map(([name, volumeBindingMode]) =>
    stringify({
      apiVersion: 'storage.k8s.io/v1',
      kind: 'StorageClass',
      metadata: { name, annotations: { 'storageclass.kubernetes.io/is-default-class': String(name === 'loop') } },
      provisioner: provisionerName,
      volumeBindingMode,
      allowVolumeExpansion: true,
      reclaimPolicy: 'Delete',
    }),
  )
  .join('---\n')
