import { describe, expect, test } from 'vitest'
import { condition, digestOf, genImage, genResolved } from '../../test/gen/objects.ts'
import { settled } from './look.ts'
import { digestOfFile, sourceHashOf } from './source-hash.ts'

const registry = { registry: { image: 'registry.example/debian:12' } }
const signed = (signature: string, sha256 = 'a'.repeat(64)) => ({
  file: { url: `https://files.example/a.sif?X-Amz-Signature=${signature}`, sha256 },
})

/** Resolved from the first spec, and then edited to be the second. */
const edited = (before: object, after: object, conditions: object[] = []) => {
  const { spec } = genImage('tools', { spec: before })
  return genImage('tools', {
    ...{ spec: after, metadata: { generation: 2 } },
    status: { observedGeneration: 1, resolved: { ...genResolved(), sourceHash: sourceHashOf(spec) }, conditions },
  })
}

describe('what is resolved holds, and nothing is looked up, when only', () => {
  test.each<[string, object, object]>([
    ['a prefetch is asked for', { source: registry }, { source: registry, prefetch: {} }],
    [
      'other pull secrets are named',
      { source: registry },
      { source: { registry: { ...registry.registry, pullSecrets: [{ name: 'one' }] } } },
    ],
    ['the signature of a URL is renewed', { source: signed('one') }, { source: signed('two') }],
    ['the sum is written in another case', { source: signed('one') }, { source: signed('one', 'A'.repeat(64)) }],
  ])('%s', (_, before, after) => {
    expect(settled(edited(before, after))).toMatchObject({ kind: 'resolved', resolved: genResolved() })
  })

  test('its registry cannot be reached any more', () => {
    const unreachable = [condition('Ready', 'False', 'RegistryUnreachable')]
    expect(settled(edited({ source: registry }, { source: registry }, unreachable))).toBeDefined()
  })
})

describe('it is looked up again when', () => {
  const other = { registry: { image: 'registry.example/debian:13' } }
  test.each<[string, object, object]>([
    ['another image is named', { source: registry }, { source: other }],
    [
      'another platform is asked for',
      { source: registry },
      { source: registry, platform: { os: 'linux', architecture: 'arm64' } },
    ],
    ['another sum is given', { source: signed('one') }, { source: signed('one', 'b'.repeat(64)) }],
    ['it lies on a volume', { source: { volume: { claimName: 'a' } } }, { source: { volume: { claimName: 'a' } } }],
  ])('%s', (_, before, after) => {
    expect(settled(edited(before, after))).toBeUndefined()
  })

  test('an operator before has resolved it, and for another generation', () => {
    const of = (generation: number) =>
      genImage('tools', {
        metadata: { generation },
        status: {
          observedGeneration: 1,
          resolved: genResolved(),
          conditions: [condition('Ready', 'True', 'Resolved')],
        },
      })
    expect(settled(of(1))).toMatchObject({ resolved: { sourceHash: sourceHashOf(of(1).spec) } })
    expect(settled(of(2))).toBeUndefined()
  })
})

test('a sum in upper case is the same digest', () => {
  expect(digestOfFile('A'.repeat(64))).toBe(digestOf('a'))
})
