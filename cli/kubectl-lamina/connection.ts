import type { KubeConfig } from '@kubernetes/client-node'
import { createClient, type KubeClient } from '../../kube/client.ts'
import { type ClusterFlags, loadKubeconfig } from './kubeconfig.ts'
import { userAgent } from './version.ts'

/** The cluster that a command talks to. */
export interface Connection {
  client: KubeClient
  config: KubeConfig
  namespace: string
  /** URL of the API server. */
  server: string
}

export const connect = (flags: ClusterFlags): Connection => {
  const { config, namespace } = loadKubeconfig(flags)
  return {
    client: createClient(config, { userAgent }),
    config,
    namespace,
    server: config.getCurrentCluster()?.server ?? '',
  }
}
