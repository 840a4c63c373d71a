import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import * as z from 'zod'
import { testCluster } from './support/cluster.ts'
import { createFixture, type Fixture } from './support/fixture.ts'
import { instance } from './support/objects.ts'
import { agentUser, controllerUser, operatorNamespace } from './support/operator.ts'

const { kubectl } = await testCluster()

const ours = ['containerimages.lamina.dev', 'persistentoverlays.lamina.dev', 'instances.lamina.dev']
const statuses = ours.map((resource) => `${resource} --subresource=status`)
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
      ...each(['list', 'watch'], ['validatingadmissionpolicies', 'validatingadmissionpolicybindings']),
      ...each(['patch'], statuses),
    ],
    refused: [
      ...each(['create', 'update', 'patch'], ours),
      ...each(['delete'], ['containerimages.lamina.dev', 'persistentoverlays.lamina.dev']),
      ...each(['list', 'watch', ...writes], ['nodes']),
      ...each(['list', 'watch', ...writes], ['secrets']),
      ...each(['create'], ['pods --subresource=exec', 'pods --subresource=ephemeralcontainers', 'deployments.apps']),
      'delete persistentvolumeclaims',
      ...each(writes, ['validatingadmissionpolicies', 'validatingadmissionpolicybindings']),
    ],
  },
  {
    user: agentUser,
    allowed: [
      ...each(['get', 'list', 'watch', 'patch'], ['pods']),
      ...each(['get'], ours),
      ...each(['get'], ['persistentvolumeclaims', 'nodes']),
      'patch nodes',
      'patch persistentoverlays.lamina.dev --subresource=status',
    ],
    refused: [
      ...each(writes, ours),
      ...each(
        ['patch'],
        ['instances.lamina.dev --subresource=status', 'containerimages.lamina.dev --subresource=status'],
      ),
      ...each(['get', 'list', 'watch'], ['secrets', 'configmaps', 'daemonsets.apps']),
      ...each(['list', 'watch'], [...ours, 'nodes']),
      ...each(['create', 'delete'], ['pods', 'pods --subresource=exec', 'persistentvolumeclaims']),
      ...each(['patch'], ['nodes --subresource=status']),
      ...each(['create', 'update', 'delete'], ['nodes']),
    ],
  },
  {
    user: 'viewer',
    allowed: [...each(['get', 'list', 'watch'], ours), ...each(['get'], statuses)],
    refused: [...each(writes, ours), ...each(['update', 'patch'], statuses)],
  },
  {
    user: 'editer',
    allowed: [...each(['get', 'list', 'watch', ...writes, 'deletecollection'], ours), ...each(['get'], statuses)],
    refused: [
      ...each(['update', 'patch'], statuses),
      ...['import persistentoverlays.lamina.dev', 'release instances.lamina.dev'],
    ],
  },
  {
    user: 'adminer',
    allowed: [...each(['get', 'list', 'watch', ...writes, 'deletecollection'], ours), ...each(['get'], statuses)],
    refused: [
      ...each(['update', 'patch'], statuses),
      ...['import persistentoverlays.lamina.dev', 'release instances.lamina.dev'],
    ],
  },
])('$user', ({ user, allowed, refused }) => {
  test('may do what it must', async () => {
    expect(await granted(user, allowed)).toEqual(allowed)
  })

  test('may do nothing more', async () => {
    expect(await granted(user, refused)).toEqual([])
  })
})

test('of all roles of the cluster only those of controller and agent, and those with all rights, write status', async () => {
  const roleSchema = z.object({
    items: z.array(
      z.object({
        metadata: z.object({ name: z.string() }),
        rules: z
          .array(
            z.object({
              apiGroups: z.array(z.string()).default([]),
              resources: z.array(z.string()).default([]),
              verbs: z.array(z.string()),
            }),
          )
          .nullish(),
      }),
    ),
  })
  const { items } = roleSchema.parse(JSON.parse(await kubectl.run(['get', 'clusterroles', '-o', 'json'])))
  const writers = items.filter(({ rules }) =>
    rules?.some(
      ({ apiGroups, resources, verbs }) =>
        apiGroups.some((group) => ['lamina.dev', '*'].includes(group)) &&
        resources.some((resource) => resource === '*' || resource.endsWith('/status')) &&
        verbs.some((verb) => ['*', 'update', 'patch'].includes(verb)),
    ),
  )
  // Kubernetes' own parts may change every object there is: the garbage collector and the migrator of stored versions.
  const names = writers.map(({ metadata }) => metadata.name).filter((name) => !name.startsWith('system:controller:'))
  expect(names.toSorted()).toEqual(['cluster-admin', 'lamina-agent', 'lamina-controller'])
})

test('a viewer reads status in fact, and writes nothing', async () => {
  await fixture.apply(instance('seen', { state: 'Stopped' }))
  const as = (...args: string[]) => kubectl.try(['-n', fixture.namespace, '--as', 'viewer', ...args])
  expect(await as('get', 'instance', 'seen', '--subresource=status')).toMatchObject({ exitCode: 0 })
  const patch = ['patch', 'instance', 'seen', '--type=merge', '-p', '{"spec":{"state":"Running"}}']
  expect((await as(...patch)).stderr).toContain('viewer" cannot patch resource "instances"')
  expect((await as(...patch, '--subresource=status')).stderr).toContain('cannot patch resource "instances/status"')
})

test("leases are written in the operator's own namespace alone", async () => {
  expect(await may(controllerUser, 'patch leases', operatorNamespace)).toBe(true)
  expect(await may(controllerUser, 'patch leases')).toBe(false)
})

test('of Deployments the controller sees its own alone, and writes nothing of it but its status', async () => {
  const own = 'deployments.apps/lamina-controller'
  expect(await granted(controllerUser, [`get ${own}`])).toEqual([])
  expect(await may(controllerUser, `get ${own}`, operatorNamespace)).toBe(true)
  expect(await may(controllerUser, `patch ${own} --subresource=status`, operatorNamespace)).toBe(true)
  expect(await may(controllerUser, `patch ${own}`, operatorNamespace)).toBe(false)
  expect(await may(controllerUser, 'get deployments.apps/other', operatorNamespace)).toBe(false)
})
