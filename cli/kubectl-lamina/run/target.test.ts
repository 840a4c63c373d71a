import { describe, expect, test } from 'vitest'
import { imageNameOf, throwAwayName } from './names.ts'
import { parseTarget, sourceOf } from './target.ts'

describe('what the word behind run can mean', () => {
  test('a bare word is an instance, an image, or a reference', () => {
    expect(parseTarget('debian')).toEqual({
      instance: 'debian',
      image: 'debian',
      source: { kind: 'registry', image: 'debian' },
    })
  })

  test('what no object can be called is a reference alone', () => {
    expect(parseTarget('debian:12')).toEqual({ source: { kind: 'registry', image: 'debian:12' } })
    expect(parseTarget('docker://ghcr.io/a/b')).toEqual({ source: { kind: 'registry', image: 'ghcr.io/a/b' } })
  })

  test('a kind in front leaves no doubt', () => {
    expect(parseTarget('instance/dev')).toEqual({ instance: 'dev' })
    expect(parseTarget('cimg/dev')).toEqual({ image: 'dev' })
  })

  test('a repository whose first part is no kind is a reference', () => {
    expect(parseTarget('library/debian')).toEqual({ source: { kind: 'registry', image: 'library/debian' } })
  })

  test('files come with their sum', () => {
    expect(parseTarget('https://host/a.sif', 'abc')).toEqual({
      source: { kind: 'file', url: 'https://host/a.sif', sha256: 'abc' },
    })
    expect(sourceOf('oras://host/a:1')).toEqual({ kind: 'file', url: 'oras://host/a:1' })
  })

  test.each([
    ['https://host/a.sif', '--sha256'],
    ['http://host/a.sif', 'only https://'],
    ['shub://a/b', 'no more'],
    ['library://a/b', 'oras://'],
    ['ftp://a/b', 'known are'],
    ['./a.sif', 'on this machine'],
    ['docker-archive:a.tar', 'on this machine'],
    ['Debian', 'no image reference'],
    ['instance/', 'no name'],
    ['overlay/dev', '--overlay dev'],
  ])('%s is refused with what to do instead', (text, part) => {
    expect(() => parseTarget(text)).toThrow(part)
  })
})

test.each(['debian:12', 'docker://debian', 'dev', 'image/dev'])('%s has no sum of a file', (text) => {
  expect(() => parseTarget(text, 'abc')).toThrow('--sha256 is for an image that is made of a file')
})

describe('names that are made', () => {
  test.each([
    ['docker.io/library/debian:12', 'debian-12'],
    ['debian', 'debian'],
    ['ghcr.io/owner/My_Tool:v1.2'.toLowerCase(), 'my-tool-v1-2'],
    [`debian@sha256:${'ab'.repeat(32)}`, 'debian-abababababab'],
  ])('%s becomes the image %s', (image, name) => {
    expect(imageNameOf({ kind: 'registry', image })).toBe(name)
  })

  test('a file is called as it is, without its query', () => {
    expect(imageNameOf({ kind: 'file', url: 'https://host/a/Tools_1.sif?token=x' })).toBe('tools-1')
  })

  test('a throw-away fits into a name', () => {
    expect(throwAwayName('debian-12', 'x7k2p')).toBe('run-debian-12-x7k2p')
    expect(throwAwayName('a'.repeat(63), 'x7k2p')).toHaveLength(63)
  })
})
