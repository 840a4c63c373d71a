/** Where the operator lives, and the names that the API server knows its parts by. */
export const operatorNamespace = 'lamina-system'

export const controllerUser = `system:serviceaccount:${operatorNamespace}:lamina-controller`
export const agentUser = `system:serviceaccount:${operatorNamespace}:lamina-agent`
