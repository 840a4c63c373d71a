import { describe, expect, test } from 'vitest'
import { admissionPolicies, admissionPolicyBindings, missingGuards } from './guards.ts'

const policy = (name: string) => admissionPolicies.parse({ metadata: { name }, spec: { failurePolicy: 'Fail' } })
const binding = (policyName: string, spec: object = {}) =>
  admissionPolicyBindings.parse({
    metadata: { name: policyName },
    spec: { policyName, validationActions: ['Deny'], ...spec },
  })

describe('missingGuards', () => {
  const expected = ['lamina-claims', 'lamina-status']
  const both = expected.map(policy)
  const [claims, status] = [binding('lamina-claims'), binding('lamina-status')]

  test('none, where each is there and bound', () => {
    expect(missingGuards(expected, [...both, policy('foreign')], [claims, status, binding('foreign')])).toEqual([])
  })

  test('what denies and audits as well is in force', () => {
    const audited = binding('lamina-claims', { validationActions: ['Deny', 'Audit'] })
    expect(missingGuards(expected, both, [audited, status])).toEqual([])
  })

  test.each([
    ['its policy is gone', [policy('lamina-status')], [claims, status]],
    ['nothing binds it', both, [status]],
    ['it only warns', both, [binding('lamina-claims', { validationActions: ['Warn', 'Audit'] }), status]],
    [
      'it is bound for some namespaces alone',
      both,
      [binding('lamina-claims', { matchResources: { namespaceSelector: { matchLabels: { a: 'b' } } } }), status],
    ],
  ])('one, where %s', (_, policies, bindings) => {
    expect(missingGuards(expected, policies, bindings)).toEqual(['lamina-claims'])
  })

  test('all, on a cluster that has none', () => {
    expect(missingGuards(expected, [], [])).toEqual(expected)
  })
})
