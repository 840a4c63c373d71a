import { describe, expect, test } from 'vitest'
import { services } from '../../../kube/resources.ts'
import { genInstance } from '../../../test/gen/objects.ts'
import { isChildOf } from '../../child.ts'
import { isAsDesired, serviceOf } from './desired.ts'

const ports = [
  { name: 'http', containerPort: 8080 },
  { containerPort: 53, protocol: 'UDP' },
]
const web = (spec: object = { service: {}, ports }) => genInstance('web', { spec })
const stored = (instance = web()) => services.parse(serviceOf(instance))

describe('the Service of an instance', () => {
  test('has its name and its ports, and leads to its pod', () => {
    expect(serviceOf(web())).toMatchObject({
      metadata: { name: 'web', namespace: 'team', ownerReferences: [{ kind: 'Instance', uid: 'uid-web' }] },
      spec: {
        type: 'ClusterIP',
        selector: { 'lamina.dev/instance': 'web' },
        ports: [
          { name: 'http', port: 8080, targetPort: 8080, protocol: 'TCP' },
          { name: 'udp-53', port: 53, targetPort: 53, protocol: 'UDP' },
        ],
      },
    })
  })

  test('is not made unasked', () => {
    expect(serviceOf(web({ ports }))).toBeUndefined()
  })

  test.each([
    ['the same', {}, true],
    ['another type', { service: { type: 'NodePort' } }, false],
    ['another port', { ports: [{ containerPort: 9090 }] }, false],
    ['another environment', { env: [{ name: 'A', value: 'b' }] }, true],
  ])('is changed with the spec alone: %s', (_, change, expected) => {
    const desired = serviceOf(web({ service: {}, ports, ...change }))
    expect(desired && isAsDesired(stored(), desired)).toBe(expected)
  })

  test("is that of an instance of the same uid, not of another's of its name", () => {
    expect(isChildOf(stored(), web())).toBe(true)
    expect(isChildOf(stored(), genInstance('web', { metadata: { uid: 'later' } }))).toBe(false)
  })
})
