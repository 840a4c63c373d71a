import { expect, test } from 'vitest'
import { homeNamespace, namespaceOf } from './namespace.ts'

test("a service account's own namespace is shown first", () => {
  expect(homeNamespace('system:serviceaccount:team-a:me')).toBe('team-a')
  expect(homeNamespace('jane@example.com')).toBe('default')
})

test('a link names the namespace', () => {
  expect(namespaceOf('team-a', 'default')).toEqual({ namespace: 'team-a' })
  expect(namespaceOf('', 'default')).toEqual({ namespace: 'default' })
})

test('what can be no namespace is told', () => {
  expect(namespaceOf('Team_A', 'default')).toEqual({
    namespace: 'default',
    trouble: '"Team_A" is no name of a namespace (lower-case letters, digits and "-"): this is default.',
  })
})
