import { describe, expect, test } from 'vitest'
import { formatReference, parseReference, registryOf } from './reference.ts'

const digest = `sha256:${'a'.repeat(64)}`

describe('an image reference', () => {
  test.each([
    ['debian', 'docker.io/library/debian:latest'],
    ['debian:12', 'docker.io/library/debian:12'],
    ['grafana/grafana', 'docker.io/grafana/grafana:latest'],
    ['ghcr.io/owner/name:v1', 'ghcr.io/owner/name:v1'],
    ['localhost/name', 'localhost/name:latest'],
    ['127.0.0.1:5000/name', '127.0.0.1:5000/name:latest'],
    ['[::1]:5000/name:1', '[::1]:5000/name:1'],
    [`debian@${digest}`, `docker.io/library/debian@${digest}`],
    [`host:5000/a/b:tag@${digest}`, `host:5000/a/b@${digest}`],
  ])('%s names %s', (text, full) => {
    const reference = parseReference(text)
    expect(reference && formatReference(reference)).toBe(full)
  })

  test('has a registry, which credentials are for', () => {
    const reference = parseReference('127.0.0.1:5000/library/debian')
    expect(reference && registryOf(reference)).toBe('127.0.0.1:5000')
  })

  test.each([
    '',
    'Debian',
    'docker://debian',
    'dir:/etc',
    'oci:/tmp/layout',
    '--all',
    'a b',
    'debian:',
    'debian@sha256:abc',
    `debian@${digest}@${digest}`,
    'host.example/',
    '../etc',
  ])('%j is none', (text) => {
    expect(parseReference(text)).toBeUndefined()
  })
})
