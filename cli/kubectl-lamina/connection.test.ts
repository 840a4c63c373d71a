import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { instances } from '../../kube/resources.ts'
import { makeCertificate } from '../../runtime-shim/image/testing/web-server.ts'
import { connect } from './connection.ts'
import { apiServer, kubeconfigFor, listOf } from './testing/api-server.ts'

const answers = { '/apis/lamina.dev/v1alpha1/namespaces/team/instances': listOf() }

let dir: string
let server: Awaited<ReturnType<typeof apiServer>>
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'lamina-connection-'))
  server = await apiServer(answers, { certificate: makeCertificate() })
})
afterAll(async () => {
  await server.close()
  await rm(dir, { recursive: true })
})

const credential = {
  apiVersion: 'client.authentication.k8s.io/v1',
  kind: 'ExecCredential',
  status: { token: 'by-plugin' },
}

test.each([
  ['a token', { token: 'by-hand' }, 'Bearer by-hand'],
  ['a password', { username: 'me', password: 'secret' }, `Basic ${Buffer.from('me:secret').toString('base64')}`],
  [
    'an exec plugin',
    {
      exec: {
        apiVersion: credential.apiVersion,
        command: 'sh',
        args: ['-c', 'echo "$CREDENTIAL"'],
        env: [{ name: 'CREDENTIAL', value: JSON.stringify(credential) }],
      },
    },
    'Bearer by-plugin',
  ],
])('a user of the kubeconfig with %s is taken at its word', async (_, user, sent) => {
  const kubeconfig = join(dir, 'config')
  await writeFile(
    kubeconfig,
    JSON.stringify({ ...JSON.parse(kubeconfigFor(server.url)), users: [{ name: 'me', user }] }),
  )
  const { client, namespace } = connect({ kubeconfig }, () => {})
  expect(await client.list(instances, { namespace })).toEqual([])
  expect(server.credentials.at(-1)).toBe(sent)
})

test('over plain HTTP, as kubectl proxy speaks it, nobody shows his token', async () => {
  const plain = await apiServer(answers)
  const kubeconfig = join(dir, 'plain')
  const config = JSON.parse(kubeconfigFor(plain.url))
  const clusters = [{ name: 'test', cluster: { server: plain.url } }]
  await writeFile(kubeconfig, JSON.stringify({ ...config, clusters }))
  const { client, namespace } = connect({ kubeconfig }, () => {})
  expect(await client.list(instances, { namespace })).toEqual([])
  expect(plain.credentials).toEqual([''])
  await plain.close()
})
