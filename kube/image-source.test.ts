import { describe, expect, test } from 'vitest'
import { formatVolumeReference, imageSourceOf, parseVolumeReference, volumeDigest } from './image-source.ts'

const digest = `sha256:${'a'.repeat(64)}`

test.each([
  [`docker.io/library/debian@${digest}`, 'registry'],
  [`https://example.com/tools.sif@${digest}`, 'https'],
  [`oras://registry.example/tools@${digest}`, 'oras'],
  [`volume://images/tools.sif@${digest}`, 'volume'],
])('%s is of the source %s', (reference, source) => {
  expect(imageSourceOf(reference)).toBe(source)
})

describe('an image on a volume', () => {
  test.each(['', 'tools.sif', 'a/b', 'odd@name/x', 'two\nlines'])('at "%s" is found again by its reference', (path) => {
    const image = { claimName: 'images', path }
    expect(parseVolumeReference(formatVolumeReference(image, digest))).toEqual(image)
  })

  test('is none where the reference is of another source', () => {
    expect(parseVolumeReference(`https://images/tools.sif@${digest}`)).toBeUndefined()
  })

  test('has the digest of its place: namespace, claim and path', () => {
    const digests = [
      volumeDigest('team', 'uid-1', 'a'),
      volumeDigest('other', 'uid-1', 'a'),
      volumeDigest('team', 'uid-2', 'a'),
      volumeDigest('team', 'uid-1', 'b'),
    ]
    expect(new Set(digests).size).toBe(digests.length)
    // sha256sum of "team/uid-1/a"
    expect(digests[0]).toBe('sha256:dc338201a07b093e4d8c9e5add60bd38071c43f954a223fc57e0af4fc41cb24f')
  })
})
