import type { Cluster } from '../../cluster/cluster.ts'

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
