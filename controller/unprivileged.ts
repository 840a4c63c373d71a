import type { V1Container } from '@kubernetes/client-node'
import { containers } from '../kube/names.ts'

/** What passes pod security `restricted`: for containers of the operator's own image in other people's pods. */
export const restrictedContext = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ['ALL'] },
  runAsNonRoot: true,
  runAsUser: 65532,
  readOnlyRootFilesystem: true,
  seccompProfile: { type: 'RuntimeDefault' },
}

/** Works under pod security `restricted`: it only waits for the node agent and tells what that does. */
export const prepareContainer = (
  image: string,
  mounts: Pick<V1Container, 'volumeMounts' | 'volumeDevices'>,
): V1Container => ({
  name: containers.prepare,
  image,
  imagePullPolicy: 'IfNotPresent',
  command: ['node', '/app/prepare.cjs'],
  args: [],
  ...mounts,
  resources: { requests: { cpu: '10m', memory: '32Mi' } },
  securityContext: restrictedContext,
})
