import { stringify } from 'yaml'
import { type ClusterLayout, clusterFiles, operatorNamespace } from './layout.ts'

/** What the controller asks of the API server is counted on this cluster, and nobody's of the others. */
const auditedCluster = 'bench'

/** User name of the controller, as the chart makes its account. */
const controllerUser = `system:serviceaccount:${operatorNamespace}:lamina-controller`

/** Who, what and of which object, but no bodies: the log must not be what is measured. */
export const auditPolicy = stringify({
  apiVersion: 'audit.k8s.io/v1',
  kind: 'Policy',
  omitStages: ['RequestReceived'],
  rules: [{ level: 'Metadata', users: [controllerUser] }, { level: 'None' }],
})

/** Of the API server. */
export const auditFlags = (layout: ClusterLayout): Record<string, string> => {
  const { auditPolicy: policy, auditLog } = clusterFiles(layout)
  return layout.name === auditedCluster ? { 'audit-policy-file': policy, 'audit-log-path': auditLog } : {}
}
