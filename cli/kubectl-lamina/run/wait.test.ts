import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { condition, genInstance } from '../../../test/gen/objects.ts'
import { connect } from '../connection.ts'
import { apiServer, listOf } from '../testing/api-server.ts'
import { silentContext } from '../testing/context.ts'
import { waitUntilRunning } from './wait.ts'

const instances = '/apis/lamina.dev/v1alpha1/namespaces/team/instances'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'lamina-wait-'))
})
afterEach(() => rm(dir, { recursive: true }))

/** What is said of an instance that runs, with these conditions beside. */
const saidOf = async (...conditions: object[]): Promise<string[]> => {
  const running = [condition('Ready', 'True', 'Running'), condition('Running', 'True', 'Started')]
  const instance = genInstance('dev', { status: { observedGeneration: 1, conditions: [...running, ...conditions] } })
  const server = await apiServer({ [`GET ${instances}`]: listOf(instance) })
  const kubeconfig = join(dir, 'kubeconfig')
  await server.writeKubeconfig(kubeconfig)
  const said: string[] = []
  const status = { ...silentContext.status, say: (text: string) => void said.push(text) }
  const connection = connect({ kubeconfig }, () => {})
  await waitUntilRunning(connection, { ...silentContext, status }, 'dev').finally(server.close)
  return said
}

test('of an instance that runs there is nothing to say', async () => {
  expect(await saidOf(condition('UpToDate', 'True', 'AsSpecified'))).toEqual([])
})

test('but that it runs on the image of its overlay, and not on the one that was asked for', async () => {
  const changed = { ...condition('UpToDate', 'False', 'BaseChanged'), message: 'the overlay lies upon debian:11' }
  expect(await saidOf(changed)).toEqual(['instance dev: the overlay lies upon debian:11'])
})
