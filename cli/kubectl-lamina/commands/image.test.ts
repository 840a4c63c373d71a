import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { condition, genImage } from '../../../test/gen/objects.ts'
import { connect } from '../connection.ts'
import { createPatience } from '../run/patience.ts'
import { apiServer, failure, listOf, object } from '../testing/api-server.ts'
import { silentContext } from '../testing/context.ts'
import { add, prefetch } from './image.ts'

const images = '/apis/lamina.dev/v1alpha1/namespaces/team/containerimages'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'lamina-image-'))
})
afterEach(() => rm(dir, { recursive: true }))

/** What is said of an image of that name that is there already. */
const addTo = async (
  there: { name: string; source: object },
  reference: string,
  sha256?: string,
): Promise<string[]> => {
  const server = await apiServer({
    [`POST ${images}`]: failure(409, 'AlreadyExists', `"${there.name}" already exists`, there.name),
    [`GET ${images}/${there.name}`]: object(genImage(there.name, { spec: { source: there.source } })),
  })
  const said: string[] = []
  const status = { ...silentContext.status, say: (text: string) => void said.push(text) }
  const kubeconfig = join(dir, 'kubeconfig')
  await server.writeKubeconfig(kubeconfig)
  const context = { ...silentContext, status, connect: async () => connect({ kubeconfig }, () => {}) }
  await add(context, reference, { wait: false, ...(sha256 === undefined ? {} : { sha256 }) }).finally(server.close)
  return said
}

test('an image that is there already is the same, however its reference is written', async () => {
  const debian = { name: 'debian-12', source: { registry: { image: 'debian:12' } } }
  expect(await addTo(debian, 'docker.io/library/debian:12')).toEqual([
    'image debian-12 is there already, and stays as it is',
  ])
})

test('one of another source, or of another sum, is not', async () => {
  const other = { name: 'debian-12', source: { registry: { image: 'ghcr.io/other/debian:12' } } }
  await expect(addTo(other, 'debian:12')).rejects.toThrow('of ghcr.io/other/debian:12: give another --name')
  const url = 'https://host/tools.sif'
  const file = { name: 'tools', source: { file: { url, sha256: 'aa' } } }
  await expect(addTo(file, url, 'bb')).rejects.toThrow('with the sum aa; you ask for bb')
})

/** What is said, and asked of the API server, of an image that no registry has. */
const addMissing = async (isThere: boolean) => {
  const conditions = [condition('Ready', 'False', 'ImageNotFound')]
  const missing = genImage('nope-1', {
    spec: { source: { registry: { image: 'nope:1' } } },
    status: { observedGeneration: 1, conditions, resolved: undefined },
  })
  const server = await apiServer({
    [`POST ${images}`]: isThere ? failure(409, 'AlreadyExists', 'there', 'nope-1') : object(missing),
    [`GET ${images}`]: listOf(missing),
    [`GET ${images}/nope-1`]: object(missing),
    [`DELETE ${images}/nope-1`]: object(missing),
  })
  const said: string[] = []
  const status = { ...silentContext.status, say: (text: string) => void said.push(text) }
  const kubeconfig = join(dir, 'kubeconfig')
  await server.writeKubeconfig(kubeconfig)
  const context = { ...silentContext, status, connect: async () => connect({ kubeconfig }, () => {}) }
  await expect(add(context, 'nope:1', { wait: true })).rejects.toThrow('image nope-1: ImageNotFound')
  await server.close()
  return { said, deleted: server.asked.includes(`DELETE ${images}/nope-1`) }
}

test('an image that cannot be found is not left, or a second try would only find it', async () => {
  expect(await addMissing(false)).toEqual({
    said: ['image nope-1 created', 'ContainerImage nope-1 deleted: it came to nothing'],
    deleted: true,
  })
})

test('one that was there before is', async () => {
  expect(await addMissing(true)).toMatchObject({ deleted: false })
})

test('a prefetch that a node cannot do is given up after a while, with what to do', async () => {
  const conditions = [condition('Prefetched', 'False', 'ImageUnauthorized')]
  const image = genImage('tools', { status: { observedGeneration: 1, conditions } })
  const server = await apiServer({ [`PATCH ${images}/tools`]: object(image), [`GET ${images}`]: listOf(image) })
  const kubeconfig = join(dir, 'kubeconfig')
  await server.writeKubeconfig(kubeconfig)
  const context = { ...silentContext, connect: async () => connect({ kubeconfig }, () => {}) }
  const waits = prefetch(context, 'tools', { wait: true }, createPatience(50)).finally(server.close)
  await expect(waits).rejects.toThrow(/^image tools is not prefetched: .*→ kubectl create secret docker-registry/s)
})
