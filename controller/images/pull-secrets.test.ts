import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ApiError } from '../../kube/client.ts'
import { secrets } from '../../kube/resources.ts'
import { genImage } from '../../test/gen/objects.ts'
import { withRegistryAccess } from './pull-secrets.ts'

let scratchDir: string
beforeEach(async () => {
  scratchDir = await mkdtemp(join(tmpdir(), 'lamina-pull-'))
})
afterEach(() => rm(scratchDir, { recursive: true }))

const config = JSON.stringify({ auths: { 'registry.example': { auth: Buffer.from('me:pw').toString('base64') } } })
const image = genImage('debian', {
  spec: { source: { registry: { image: 'x', pullSecrets: [{ name: 'registry' }] } } },
  status: {},
})

/** With what the API server answers to a GET of the secret. */
const read = (answer: object | ApiError | undefined) =>
  withRegistryAccess(
    {
      client: {
        get: async (resource) => {
          if (answer instanceof ApiError) throw answer
          return answer && resource.parse(answer)
        },
      },
      settings: { scratchDir },
    },
    image,
    async ({ authFile = '' }) => readFile(authFile, 'utf8'),
  )
const secret = (data: object) => secrets.parse({ metadata: { name: 'registry' }, data })

test("a namespace's own secret is a file for as long as it is used", async () => {
  const text = await read(secret({ '.dockerconfigjson': Buffer.from(config).toString('base64') }))
  expect(text).toContain('registry.example')
  expect(await readdir(scratchDir)).toEqual([])
})

test.each([
  ['that is missing', undefined, /the Secret "registry", which is not in namespace team: create it there/],
  ['of another type', secret({ password: 'c2VjcmV0' }), /has no .dockerconfigjson/],
  [
    'that the controller has no right to read',
    new ApiError('no', { status: 403, reason: 'Forbidden' }),
    /may not read the Secret "registry" .* namespace team \(pullSecretNamespaces of the chart\)/,
  ],
])('a secret %s is told in words', async (_, answer, words) => {
  await expect(read(answer)).rejects.toMatchObject({ name: 'PullSecretError', message: expect.stringMatching(words) })
})
