import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { testCluster } from './support/cluster.ts'
import { createFixture, type Fixture } from './support/fixture.ts'
import { agentUser, controllerUser, operatorNamespace } from './support/operator.ts'

const { kubectl } = await testCluster()

const ours = ['containerimages.lamina.dev', 'persistentoverlays.lamina.dev', 'instances.lamina.dev']
const each = (verbs: string[], resources: string[]) => verbs.flatMap((verb) => resources.map((one) => `${verb} ${one}`))

let fixture: Fixture
beforeAll(async () => {
  fixture = await createFixture(kubectl, 'rbac')
  const roles = ['view', 'edit', 'admin']
  await fixture.apply(
    ...roles.map((role) => ({
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'RoleBinding',
      metadata: { name: role },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: `${role}er` }],
    })),
  )
})
afterAll(() => fixture.destroy())

const may = async (user: string, what: string, namespace = fixture.namespace): Promise<boolean> => {
  const { stdout } = await kubectl.try(['-n', namespace, '--as', user, 'auth', 'can-i', ...what.split(' ')])
  expect(['yes', 'no']).toContain(stdout.trim())
  return stdout.trim() === 'yes'
}
const granted = async (user: string, whats: string[]) => {
  const answers = await Promise.all(whats.map(async (what) => ((await may(user, what)) ? [what] : [])))
  return answers.flat()
}

const writes = ['create', 'update', 'patch', 'delete']

describe.each([
  {
    user: controllerUser,
    allowed: [
      ...each(['get', 'list', 'watch', 'create', 'patch', 'delete'], ['pods']),
      ...each(['get', 'list', 'watch', 'create', 'patch'], ['persistentvolumeclaims']),
      ...each(['get', 'list', 'watch'], ours),
      ...each(['get', 'list', 'watch', 'create', 'patch', 'delete'], ['daemonsets.apps']),
      ...each(['get', 'list', 'watch', 'create', 'patch', 'delete'], ['services']),
      'delete instances.lamina.dev',
      'get secrets',
      'get nodes',
    ],
    refused: [
      ...each(['create', 'update', 'patch'], ours),
      ...each(['delete'], ['containerimages.lamina.dev', 'persistentoverlays.lamina.dev']),
      ...each(['list', 'watch', ...writes], ['nodes']),
      ...each(['list', 'watch', ...writes], ['secrets']),
      ...each(['create'], ['pods --subresource=exec', 'pods --subresource=ephemeralcontainers', 'deployments.apps']),
      'delete persistentvolumeclaims',
    ],
  },
  {
    user: agentUser,
    allowed: [
      ...each(['get', 'list', 'watch', 'patch'], ['pods']),
      ...each(['get'], ours),
      ...each(['get'], ['persistentvolumeclaims', 'nodes']),
      'patch nodes',
    ],
    refused: [
      ...each(writes, ours),
      ...each(['get', 'list', 'watch'], ['secrets', 'configmaps', 'daemonsets.apps']),
      ...each(['list', 'watch'], [...ours, 'nodes']),
      ...each(['create', 'delete'], ['pods', 'pods --subresource=exec', 'persistentvolumeclaims']),
      ...each(['patch'], ['nodes --subresource=status']),
      ...each(['create', 'update', 'delete'], ['nodes']),
    ],
  },
  {
    user: 'viewer',
    allowed: each(['get', 'list', 'watch'], ours),
    refused: each(writes, ours),
  },
  {
    user: 'editer',
    allowed: each(['get', 'list', 'watch', ...writes], ours),
    refused: ['import persistentoverlays.lamina.dev', 'release instances.lamina.dev'],
  },
  {
    user: 'adminer',
    allowed: each(['get', 'list', 'watch', ...writes], ours),
    refused: ['import persistentoverlays.lamina.dev', 'release instances.lamina.dev'],
  },
])('$user', ({ user, allowed, refused }) => {
  test('may do what it must', async () => {
    expect(await granted(user, allowed)).toEqual(allowed)
  })

  test('may do nothing more', async () => {
    expect(await granted(user, refused)).toEqual([])
  })
})

test('nobody is given the right to write status, but the operator', async () => {
  for (const resource of ours) {
    for (const user of ['viewer', 'editer', 'adminer', agentUser]) {
      const expected = user === agentUser && resource.startsWith('persistentoverlays')
      expect(await may(user, `patch ${resource} --subresource=status`), `${user} ${resource}`).toBe(expected)
    }
    expect(await may(controllerUser, `patch ${resource} --subresource=status`)).toBe(true)
  }
})

test("leases are written in the operator's own namespace alone", async () => {
  expect(await may(controllerUser, 'patch leases', operatorNamespace)).toBe(true)
  expect(await may(controllerUser, 'patch leases')).toBe(false)
})
