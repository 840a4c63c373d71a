import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { genInstance } from '../../../test/gen/objects.ts'
import { connect } from '../connection.ts'
import { apiServer, object } from '../testing/api-server.ts'
import { silentContext } from '../testing/context.ts'
import { start } from './lifecycle.ts'

const instances = '/apis/lamina.dev/v1alpha1/namespaces/team/instances'

let dir: string
let server: Awaited<ReturnType<typeof apiServer>>
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'lamina-lifecycle-'))
  server = await apiServer({ [`${instances}/dev`]: object(genInstance('dev')) })
  await server.writeKubeconfig(join(dir, 'kubeconfig'))
})
afterAll(async () => {
  await server.close()
  await rm(dir, { recursive: true })
})

const context = { ...silentContext, connect: async () => connect({ kubeconfig: join(dir, 'kubeconfig') }, () => {}) }
const env = [{ name: 'A', value: 'b' }]

test.each([
  ['--env', { env }],
  ['--workdir', { workdir: '/home' }],
  ['--workdir', { pwd: '/home' }],
  ['--overlay', { overlay: [{ name: 'dev', access: 'ReadWrite' as const }] }],
  ['--size', { size: '2Gi' }],
  ['--pull-secret', { pullSecret: ['registry'] }],
  ['--sha256', { sha256: 'aa' }],
])('start of an instance that is there takes no %s', async (flag, given) => {
  await expect(start(context, ['dev'], { wait: false, ...given })).rejects.toThrow(
    `${flag} is for an instance that is made: kubectl lamina start IMAGE dev ${flag} …`,
  )
})

test.each([
  ['--env', { env }],
  ['--workdir', { workdir: '/home' }],
])('nor is %s dropped where an image is named with it', async (flag, given) => {
  await expect(start(context, ['debian:12', 'dev'], { wait: false, ...given })).rejects.toThrow(
    `instance dev is there already, and ${flag} is for one that is made: give it another name`,
  )
  expect(server.asked.every((each) => each.startsWith('GET '))).toBe(true)
})
