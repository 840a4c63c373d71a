import { existsSync } from 'node:fs'
import { KubeConfig } from '@kubernetes/client-node'

const serviceAccountToken = '/var/run/secrets/kubernetes.io/serviceaccount/token'

/**
 * How to reach the API server: by $KUBECONFIG when that is set, else as the
 * pod's service account, else by ~/.kube/config.
 *
 * @throws when none of these is there
 */
export const loadConfig = (): KubeConfig => {
  const config = new KubeConfig()
  const inPod = process.env.KUBERNETES_SERVICE_HOST !== undefined && existsSync(serviceAccountToken)
  if (!process.env.KUBECONFIG && inPod) {
    config.loadFromCluster()
    return config
  }
  config.loadFromDefault()
  // What client-node makes up when it finds nothing.
  if (config.getCurrentContext() === 'loaded-context') {
    throw new Error('no way to the API server: set KUBECONFIG, or run in a pod with a service account')
  }
  return config
}
