import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { absent, apiServer, failure, kubeconfigFor, listOf, object } from './testing/api-server.ts'
import { type Bundle, bundled } from './testing/bundle.ts'
import { wrongInputs } from './wrong-inputs.ts'

const kinds = '/apis/lamina.dev/v1alpha1/namespaces'

const overlay = {
  metadata: { name: 'dev', namespace: 'team', generation: 1 },
  spec: { size: '4Gi' },
}
const existingClaim = {
  metadata: { name: 'mine', namespace: 'team', generation: 1 },
  spec: { storage: { existingClaimName: 'data' } },
}
const stopped = {
  metadata: { name: 'dev', namespace: 'team', generation: 1 },
  spec: { imageRef: { name: 'debian' }, overlays: [{ name: 'dev' }], state: 'Stopped' },
  status: {
    observedGeneration: 1,
    conditions: ['Ready', 'Running'].map((type) => ({
      type,
      status: type === 'Ready' ? 'True' : 'False',
      reason: 'Stopped',
      message: '',
      lastTransitionTime: '2026-01-01T00:00:00Z',
    })),
  },
}
const tools = {
  metadata: { name: 'tools', namespace: 'team', generation: 1 },
  spec: { source: { file: { url: 'https://host/tools.sif', sha256: 'aa' } } },
}

let bundle: Bundle
let server: Awaited<ReturnType<typeof apiServer>>

beforeAll(async () => {
  bundle = await bundled()
  server = await apiServer({
    [`${kinds}/team/persistentoverlays/dev`]: object(overlay),
    [`${kinds}/team/persistentoverlays/mine`]: object(existingClaim),
    [`${kinds}/team/persistentoverlays/none`]: absent('none'),
    [`${kinds}/team/instances/dev`]: object(stopped),
    [`${kinds}/team/instances/none`]: absent('none'),
    [`${kinds}/team/instances/dve`]: absent('dve'),
    [`${kinds}/team/instances`]: listOf(stopped),
    [`${kinds}/team/containerimages/none`]: absent('none'),
    [`${kinds}/team/containerimages`]: listOf(tools),
    '/api/v1/namespaces/team/pods/dev': absent('dev'),
    [`${kinds}/foreign/instances`]: failure(
      403,
      'Forbidden',
      'User "me" cannot list instances in the namespace "foreign"',
    ),
    [`${kinds}/expired/instances`]: failure(401, 'Unauthorized', 'Unauthorized'),
  })
  await server.writeKubeconfig(join(bundle.dir, 'good'))
  await writeFile(join(bundle.dir, 'away'), kubeconfigFor('http://127.0.0.1:9'))
  await writeFile(join(bundle.dir, 'nowhere'), kubeconfigFor('10.0.0.1:6443'))
  await writeFile(join(bundle.dir, 'broken'), 'clusters: [{')
  const { contexts: _, 'current-context': __, ...empty } = JSON.parse(kubeconfigFor('http://127.0.0.1:9'))
  await writeFile(join(bundle.dir, 'empty'), JSON.stringify(empty))
})
afterAll(async () => {
  await server.close()
  await bundle.remove()
})

describe('wrong inputs are told what is wrong and what to do, without a stack trace', () => {
  test.concurrent.each(wrongInputs.flatMap(({ inputs }) => inputs))(
    'kubectl lamina %s',
    { timeout: 60_000 },
    async (typed, exitCode, told) => {
      const outcome = await bundle.run(typed.split(' '), { KUBECONFIG: join(bundle.dir, 'good') })
      expect(outcome).toEqual({ exitCode, stdout: '', stderr: `error: ${told}` })
    },
  )

  test('no file in KUBECONFIG, and no cluster around', async () => {
    const { stderr, exitCode } = await bundle.run(['ps'], { KUBECONFIG: '/none' })
    expect(stderr).toBe(
      'error: no way to a cluster: none of the files in KUBECONFIG (/none) is there. Correct it, or give --kubeconfig',
    )
    expect(exitCode).toBe(1)
  })
})
