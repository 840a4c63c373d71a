import { type Cluster, openCluster } from '../../cluster/cluster.ts'
import { createKubectl, type Kubectl } from './kubectl.ts'

/** The cluster that the suite's setup has brought up, with the operator installed by its chart. */
export interface TestCluster {
  cluster: Cluster
  kubectl: Kubectl
}

/** Another one lets two trees be tested side by side. */
export const testClusterName = process.env.E2E_CLUSTER ?? 'test'

export const testCluster = async (): Promise<TestCluster> => {
  const cluster = await openCluster(testClusterName)
  if (!cluster) throw new Error(`cluster ${testClusterName} is not up: run the suite by npm test`)
  return { cluster, kubectl: createKubectl(cluster.kube('kubectl'), process.env) }
}

/** Image reference of a repository in the cluster's own registry. */
export const imageReference = ({ registry }: Cluster, repository: string): string => `${registry.host}/${repository}`
