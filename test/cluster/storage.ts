import { stringify } from 'yaml'

export const provisionerName = 'lamina.dev/loop-volumes'

const storageClass = (name: string, volumeBindingMode: string, isDefault: boolean) => ({
  apiVersion: 'storage.k8s.io/v1',
  kind: 'StorageClass',
  metadata: { name, annotations: { 'storageclass.kubernetes.io/is-default-class': String(isDefault) } },
  provisioner: provisionerName,
  volumeBindingMode,
  allowVolumeExpansion: true,
  reclaimPolicy: 'Delete',
})

/** The classes that the cluster's own provisioner serves, as YAML documents. */
export const storageClasses = [
  storageClass('loop', 'WaitForFirstConsumer', true),
  storageClass('loop-immediate', 'Immediate', false),
]
  .map((object) => stringify(object))
  .join('---\n')
