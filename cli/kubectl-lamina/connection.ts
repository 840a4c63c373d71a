import type { KubeConfig } from '@kubernetes/client-node'
import { createClient, type KubeClient } from '../../kube/client.ts'
import { type ClusterFlags, loadKubeconfig } from './kubeconfig.ts'
import { createReadable, type Readable, withReadableLists } from './readable.ts'
import { userAgent } from './version.ts'

/** The cluster that a command talks to. */
export interface Connection {
  /** Its lists are {@link Readable}. */
  client: KubeClient
  readable: Readable
  config: KubeConfig
  namespace: string
  /** URL of the API server. */
  server: string
}

/** @param tell is told what of the cluster's objects is left out */
export const connect = (flags: ClusterFlags, tell: (words: string) => void): Connection => {
  const { config, namespace } = loadKubeconfig(flags)
  const readable = createReadable(tell)
  return {
    client: withReadableLists(createClient(config, { userAgent }), readable),
    readable,
    config,
    namespace,
    server: config.getCurrentCluster()?.server ?? '',
  }
}
