import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type ContainerImage, containerImageSchema } from '../../../crds/container-image.ts'
import { instanceSchema } from '../../../crds/instance.ts'
import { connect } from '../connection.ts'
import { absent, apiServer, listOf } from '../testing/api-server.ts'
import { find, imageFor } from './find.ts'
import { parseTarget } from './target.ts'

const image = (name: string, source: object): ContainerImage =>
  containerImageSchema.parse({ metadata: { name }, spec: { source } })

const debian = image('base', { registry: { image: 'docker.io/library/debian:12' } })

test('an image that is there is taken, however its reference is written', () => {
  expect(imageFor({ kind: 'registry', image: 'debian:12' }, [debian])).toEqual({ kind: 'image', name: 'base' })
})

test('another tag is another image', () => {
  const source = { kind: 'registry', image: 'debian:13' } as const
  expect(imageFor(source, [debian])).toEqual({ kind: 'source', name: 'debian-13', source, similar: [] })
})

test('a name that another source has is not taken over', () => {
  const other = image('debian-12', { registry: { image: 'ghcr.io/other/debian:12' } })
  expect(() => imageFor({ kind: 'registry', image: 'debian:12' }, [other])).toThrow('of another source')
})

const url = 'https://host/tools.sif'
const fileWith = (name: string, sha256?: string): ContainerImage => image(name, { file: { url, sha256 } })

test('files are told by their URL, where no sum is given', () => {
  expect(imageFor({ kind: 'file', url }, [fileWith('tools', 'aa')])).toEqual({ kind: 'image', name: 'tools' })
})

test('a file with another sum is refused, and both are named', () => {
  const asked = { kind: 'file', url, sha256: 'bb' } as const
  const words = `image "tools" is of ${url} with the sum aa; you ask for bb.`
  expect(() => imageFor(asked, [fileWith('tools', 'aa')])).toThrow(words)
  expect(() => imageFor(asked, [fileWith('tools')])).toThrow('with the sum that nobody gave')
})

test('of several with the same URL the one with the sum is taken, in either case of its letters', () => {
  const both = [fileWith('old', 'aa'), fileWith('new', 'BB')]
  expect(imageFor({ kind: 'file', url, sha256: 'bb' }, both)).toEqual({ kind: 'image', name: 'new' })
})

test('of a name that is not there those that are near it are told, of images and instances', async () => {
  const dev = instanceSchema.parse({ metadata: { name: 'debian-dev' }, spec: { imageRef: { name: 'base' } } })
  const server = await apiServer({
    '/apis/lamina.dev/v1alpha1/namespaces/team/instances/debain-dev': absent('debain-dev'),
    '/apis/lamina.dev/v1alpha1/namespaces/team/instances': listOf(dev),
    '/apis/lamina.dev/v1alpha1/namespaces/team/containerimages': listOf(debian),
  })
  const dir = await mkdtemp(join(tmpdir(), 'lamina-find-'))
  const kubeconfig = join(dir, 'kubeconfig')
  try {
    await server.writeKubeconfig(kubeconfig)
    const found = await find(
      connect({ kubeconfig }, () => {}),
      parseTarget('debain-dev'),
    )
    expect(found).toMatchObject({ kind: 'source', name: 'debain-dev', similar: ['debian-dev'] })
  } finally {
    await server.close()
    await rm(dir, { recursive: true })
  }
})
