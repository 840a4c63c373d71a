import { expect } from 'vitest'
import { sandboxImage } from '../../cluster/components.ts'
import type { Fixture } from './fixture.ts'
import type { Kubectl, Outcome } from './kubectl.ts'
import { inNamespace } from './objects.ts'
import { agentUser, controllerUser } from './operator.ts'

/** Requests of several users, and how admission judged them. */

const developer = 'developer'

/** Impersonations: what kubectl does is judged as theirs. */
export const as = {
  admin: [],
  developer: ['--as', developer],
  controller: ['--as', controllerUser, '--as-group', 'system:masters'],
  agentOf: (name: string) => ['--as', agentUser, '--as-user-extra', `authentication.kubernetes.io/node-name=${name}`],
  unboundAgent: ['--as', agentUser],
  kubeletOf: (name: string) => ['--as', `system:node:${name}`, '--as-group', 'system:nodes'],
  garbageCollector: ['--as', 'system:serviceaccount:kube-system:generic-garbage-collector'],
}

/** Lets the developer edit the namespace, and, what "edit" has not, write the status of pods and claims: metadata go along. */
export const letDeveloperEdit = (fixture: Fixture): Promise<void> => {
  const binding = (kind: 'ClusterRole' | 'Role', name: string) => ({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: { name },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind, name },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: developer }],
  })
  const resources = ['pods/status', 'persistentvolumeclaims/status']
  return fixture.apply(
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'Role',
      metadata: { name: 'status' },
      rules: [{ apiGroups: [''], resources, verbs: ['get', 'patch'] }],
    },
    binding('ClusterRole', 'edit'),
    binding('Role', 'status'),
  )
}

/** @param namespace asked at each request, so that a test file's fixture can come later */
export const requestsIn = (kubectl: Kubectl, namespace: () => string) => {
  const run = (who: string[], args: string[], input?: object) =>
    kubectl.try(['-n', namespace(), ...who, ...args], input ? { input: JSON.stringify(input) } : {})
  return {
    run,
    create: (who: string[], object: Record<string, unknown> & { metadata: object }, ...flags: string[]) =>
      run(who, ['create', '-f', '-', ...flags], inNamespace(namespace(), object)),
    /** A merge patch that is judged and not stored. */
    tryPatch: (who: string[], object: string, patch: object, ...flags: string[]) =>
      run(who, ['patch', object, '--type=merge', '--dry-run=server', '-p', JSON.stringify(patch), ...flags]),
  }
}

export const expectAllowed = async (outcome: Promise<Outcome>): Promise<void> => {
  expect(await outcome).toMatchObject({ exitCode: 0, stderr: '' })
}

/** @param policy without the release's name in front */
export const expectDenied = async (outcome: Promise<Outcome>, policy: string, words: string): Promise<void> => {
  const { exitCode, stderr } = await outcome
  expect(stderr).toContain(`ValidatingAdmissionPolicy 'lamina-${policy}'`)
  expect(stderr).toContain(words)
  expect(exitCode).not.toBe(0)
}

/** A pod that runs wherever the cluster's sandbox image is. */
export const pod = (name: string, { metadata = {}, spec = {} }: { metadata?: object; spec?: object } = {}) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, ...metadata },
  spec: {
    terminationGracePeriodSeconds: 0,
    containers: [{ name: 'main', image: sandboxImage, imagePullPolicy: 'Never' }],
    ...spec,
  },
})
