import { describe, expect, test } from 'vitest'
import { apiVersionOf, formatKey, keyOf, parseKey } from './resource.ts'
import { instances, nodes, pods } from './resources.ts'

describe('an object of the API server', () => {
  const json = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: 'a',
      namespace: 'ns',
      uid: 'u',
      resourceVersion: '7',
      creationTimestamp: '2026-01-01T00:00:00Z',
      managedFields: [{ manager: 'kubectl' }],
    },
    spec: { containers: [{ name: 'main' }], aFieldOfTomorrow: true },
    status: { startTime: '2026-01-01T00:00:00Z' },
  }

  test('has all of its metadata, empty where it says nothing, and without managedFields', () => {
    expect(pods.parse(json).metadata).toEqual({
      name: 'a',
      namespace: 'ns',
      uid: 'u',
      resourceVersion: '7',
      generation: 0,
      labels: {},
      annotations: {},
      creationTimestamp: '2026-01-01T00:00:00Z',
      finalizers: [],
      ownerReferences: [],
    })
  })

  test('keeps the fields that this version does not know', () => {
    expect(pods.parse(json).spec).toEqual(json.spec)
  })

  test('does not share its empty metadata with others', () => {
    const [one, two] = [pods.parse(json), pods.parse(json)]
    one.metadata.labels.mine = 'yes'
    expect(two.metadata.labels).toEqual({})
  })

  test('without a name is not readable', () => {
    expect(() => pods.parse({ metadata: {} })).toThrow('name')
  })
})

test('keys name namespace and object, and are read back', () => {
  const pod = pods.parse({ metadata: { name: 'a', namespace: 'ns' } })
  const node = nodes.parse({ metadata: { name: 'a' } })
  expect([keyOf(pod), keyOf(node)]).toEqual(['ns/a', '/a'])
  for (const key of ['ns/a', '/a']) expect(formatKey(parseKey(key))).toBe(key)
})

test('apiVersion is that of the group', () => {
  expect([apiVersionOf(pods), apiVersionOf(instances)]).toEqual(['v1', 'lamina.dev/v1alpha1'])
})
