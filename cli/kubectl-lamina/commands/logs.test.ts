import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { genInstance, genPod } from '../../../test/gen/objects.ts'
import { connect } from '../connection.ts'
import { apiServer, object } from '../testing/api-server.ts'
import { silentContext } from '../testing/context.ts'
import { logs } from './logs.ts'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'lamina-logs-'))
})
afterEach(() => rm(dir, { recursive: true }))

test.each([
  ['prepare', ': there was nothing to prepare'],
  ['nope', ''],
])('a container that the pod has not is named with those that it has: %s', async (container, why) => {
  const pod = genPod('dev', { spec: { containers: [{ name: 'main' }] } })
  const server = await apiServer({
    '/apis/lamina.dev/v1alpha1/namespaces/team/instances/dev': object(genInstance('dev')),
    '/api/v1/namespaces/team/pods/dev': object(pod),
  })
  const kubeconfig = join(dir, 'kubeconfig')
  await server.writeKubeconfig(kubeconfig)
  const context = { ...silentContext, connect: async () => connect({ kubeconfig }, () => {}) }
  await expect(logs(context, 'dev', { container }).finally(server.close)).rejects.toThrow(
    `the pod of instance dev has no container ${container}${why}; it has: main`,
  )
})
