import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Cluster } from '../../cluster/cluster.ts'
import { clusterFiles } from '../../cluster/layout.ts'

export const registrySecretName = 'registry'

/** The pull secret for the cluster's registry, as `kubectl create secret docker-registry` would make it. */
export const registrySecret = ({ registry: { host, user, password } }: Cluster, name = registrySecretName) => {
  const auth = Buffer.from(`${user}:${password}`).toString('base64')
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name },
    type: 'kubernetes.io/dockerconfigjson',
    stringData: { '.dockerconfigjson': JSON.stringify({ auths: { [host]: { auth } } }) },
  }
}

/** What the registry has served, a line a request: counted from outside, not by the product's own metrics. */
export const registryLog = async ({ layout }: Cluster): Promise<string[]> =>
  (await readFile(join(clusterFiles(layout).logs, 'registry.log'), 'utf8')).split('\n')
