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
  /** The same for messages: with the proxy on the way to it. */
  place: string
}

const withoutPassword = (url: string): string => url.replace(/\/\/[^@/]*@/, '//')

/** @param tell is told what of the cluster's objects is left out */
export const connect = (flags: ClusterFlags, tell: (words: string) => void): Connection => {
  const { config, namespace } = loadKubeconfig(flags)
  const cluster = config.getCurrentCluster()
  const server = cluster?.server ?? ''
  const readable = createReadable(tell)
  return {
    client: withReadableLists(createClient(config, { userAgent }), readable),
    readable,
    config,
    namespace,
    server,
    place: cluster?.proxyUrl ? `${server}, by way of the proxy ${withoutPassword(cluster.proxyUrl)}` : server,
  }
}
