import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { makeCertificate } from '../../../runtime-shim/image/testing/web-server.ts'
import { condition, genInstance } from '../../../test/gen/objects.ts'
import { apiServer, kubeconfigFor, object } from '../testing/api-server.ts'
import { type Bundle, bundled } from '../testing/bundle.ts'
import { endlessExec } from '../testing/exec.ts'
import { connectProxy } from '../testing/proxy.ts'

const instance = genInstance('dev', {
  status: {
    observedGeneration: 1,
    conditions: [condition('Ready', 'True', 'Running'), condition('Running', 'True', 'Started')],
  },
})

let bundle: Bundle
beforeAll(async () => {
  bundle = await bundled()
  // A name that nobody but the proxy knows.
  await writeFile(join(bundle.dir, 'kubeconfig'), kubeconfigFor('https://api.invalid:6443'))
}, 60_000)
afterAll(() => bundle.remove())

test("requests and commands go by the environment's proxy", { timeout: 60_000 }, async () => {
  const answers = { '/apis/lamina.dev/v1alpha1/namespaces/team/instances/dev': object(instance) }
  const server = await apiServer(answers, { exec: endlessExec, certificate: makeCertificate() })
  const proxy = await connectProxy(server.port)
  const env = { PATH: bundle.path, KUBECONFIG: join(bundle.dir, 'kubeconfig'), HTTPS_PROXY: proxy.url, NO_PROXY: '' }
  const { stdout } = await execa('bash', ['-o', 'pipefail', '-c', '"$0" exec dev -- yes | head -n 1', bundle.program], {
    env,
    timeout: 30_000,
  })
  expect(stdout).toBe('y')
  expect(proxy.asked).toEqual(['api.invalid:6443', 'api.invalid:6443'])
  expect(server.credentials).toEqual(['Bearer secret'])
  await proxy.close()
  await server.close()
})

test('one that does not answer is named, without its password', { timeout: 60_000 }, async () => {
  const { stderr } = await bundle.run(['ps'], {
    KUBECONFIG: join(bundle.dir, 'kubeconfig'),
    HTTPS_PROXY: 'http://me:secret@127.0.0.1:9',
    NO_PROXY: '',
  })
  expect(stderr).toBe(
    'error: no answer from https://api.invalid:6443, by way of the proxy http://127.0.0.1:9: nothing listens there: is the cluster up, and the port right? (ECONNREFUSED)',
  )
})
