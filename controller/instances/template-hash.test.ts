import { describe, expect, test } from 'vitest'
import { genInstance, genOverlay, genResolved } from '../../test/gen/objects.ts'
import type { PodParts } from './pod.ts'
import { templateHash } from './template-hash.ts'

const work = { overlay: genOverlay('work'), claimName: 'lamina-work' }
const hashOf = (spec: object = {}, parts: Partial<PodParts> = {}): string =>
  templateHash({
    instance: genInstance('dev', { spec }),
    pullSecrets: [],
    chosen: genResolved(),
    overlays: [],
    placeholderImage: 'lamina:1',
    prepare: false,
    ...parts,
  })
const written = (spec: object = {}) => hashOf({ overlays: [{ name: 'work' }], ...spec }, { overlays: [work] })

describe('the hash of what a pod is made from', () => {
  test('is what earlier versions found: an upgrade of Lamina rolls no pod', () => {
    expect(hashOf()).toBe('40a9d3f1ed0fe54b')
    const spec = {
      overlays: [{ name: 'work' }],
      command: ['serve'],
      env: [{ name: 'A', value: '1' }],
      resources: { limits: { memory: '1Gi' } },
      podTemplate: { spec: { containers: [{ name: 'main', tty: true }] } },
    }
    const parts = { overlays: [work], pullSecrets: [{ name: 'registry', optional: false }] }
    expect(hashOf(spec, parts)).toBe('a31a01bf28fb28af')
  })

  test.each<[string, string]>([
    ['a field', hashOf({ env: [{ name: 'A', value: '1' }] })],
    ['the template', hashOf({ podTemplate: { spec: { hostNetwork: true } } })],
    ['the throw-away layer', hashOf({ ephemeral: { sizeLimit: '1Gi' } })],
    ['the image', hashOf({}, { chosen: genResolved('b') })],
    ['its platform', hashOf({}, { chosen: { ...genResolved(), platform: { os: 'linux', architecture: 'arm64' } } })],
    ['its pull secrets', hashOf({}, { pullSecrets: [{ name: 'registry', optional: false }] })],
    ['an overlay', written()],
  ])('changes with %s', (_, hash) => {
    expect(hash).not.toBe(hashOf())
  })

  test.each<[string, string]>([
    ['what is done with the pod', hashOf({ idleTimeoutSeconds: 60, updatePolicy: 'Recreate', service: {} })],
    ['the labels of the template', hashOf({ podTemplate: { metadata: { labels: { app: 'x' } } } })],
    ['how it is prepared', hashOf({}, { prepare: true })],
    ["the operator's own image", hashOf({}, { placeholderImage: 'lamina:2' })],
    [
      "what an operator reads from the same image's configuration",
      hashOf({}, { chosen: genResolved('a', { cmd: ['x'] }) }),
    ],
    [
      'where the same image is pulled from',
      hashOf({}, { chosen: { ...genResolved(), reference: 'mirror.example/x' } }),
    ],
  ])('stays the same whatever %s', (_, hash) => {
    expect(hash).toBe(hashOf())
  })

  test('changes with the access to an overlay and the kind of its volume', () => {
    expect(written({ overlays: [{ name: 'work', access: 'ReadOnly' }] })).not.toBe(written())
    const block = { ...work, overlay: genOverlay('work', { spec: { storage: { volumeMode: 'Block' } } }) }
    expect(hashOf({ overlays: [{ name: 'work' }] }, { overlays: [block] })).not.toBe(written())
  })

  test('stays the same when its overlay may follow another image, and whatever a layer would be that it has not', () => {
    expect(written({ overlays: [{ name: 'work', base: 'Follow' }] })).toBe(written())
    expect(written({ ephemeral: { medium: 'Memory' } })).toBe(written())
  })

  test('stays the same whether its pod could start without a pull secret', () => {
    const secrets = (optional: boolean) => hashOf({}, { pullSecrets: [{ name: 'registry', optional }] })
    expect(secrets(true)).toBe(secrets(false))
  })

  test('does not depend on the order in which the fields of an object are written', () => {
    const limits = (given: object) => hashOf({ resources: { limits: given } })
    expect(limits({ cpu: 1, memory: '1Gi' })).toBe(limits({ memory: '1Gi', cpu: 1 }))
    const variables = (...names: string[]) => hashOf({ env: names.map((name) => ({ name })) })
    expect(variables('A', 'B')).not.toBe(variables('B', 'A'))
  })
})
