import { expect, test } from 'vitest'
import { type ContainerImage, containerImageSchema } from '../../../crds/container-image.ts'
import { imageFor } from './find.ts'

const image = (name: string, source: object): ContainerImage =>
  containerImageSchema.parse({ metadata: { name }, spec: { source } })

const debian = image('base', { registry: { image: 'docker.io/library/debian:12' } })

test('an image that is there is taken, however its reference is written', () => {
  expect(imageFor({ kind: 'registry', image: 'debian:12' }, [debian])).toEqual({ kind: 'image', name: 'base' })
})

test('another tag is another image', () => {
  const source = { kind: 'registry', image: 'debian:13' } as const
  expect(imageFor(source, [debian])).toEqual({ kind: 'source', name: 'debian-13', source })
})

test('a name that another source has is not taken over', () => {
  const other = image('debian-12', { registry: { image: 'ghcr.io/other/debian:12' } })
  expect(() => imageFor({ kind: 'registry', image: 'debian:12' }, [other])).toThrow('of another source')
})

test('files are told by their URL', () => {
  const file = image('tools', { file: { url: 'https://host/tools.sif', sha256: '0' } })
  expect(imageFor({ kind: 'file', url: 'https://host/tools.sif' }, [file])).toEqual({ kind: 'image', name: 'tools' })
})
