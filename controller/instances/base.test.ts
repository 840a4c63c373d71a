import { describe, expect, test } from 'vitest'
import type { OverlayUse } from '../../crds/instance.ts'
import { digestOf, genImage, genOverlay, genResolved } from '../../test/gen/objects.ts'
import { chooseImage, pullSecretsFor } from './base.ts'

const baseOf = (letter: string, { pullSecrets, ...more }: { pullSecrets?: object; platform?: object } = {}) => {
  const { reference, digest, platform, config } = genResolved(letter)
  return { reference, digest, platform, config, ...more, ...(pullSecrets ? { pullSecrets } : {}) }
}
const written = (letter: string | undefined, base?: OverlayUse['base'], more: Parameters<typeof baseOf>[1] = {}) => ({
  overlay: genOverlay('work', { status: letter === undefined ? {} : { base: baseOf(letter, more) } }),
  use: { name: 'work', access: 'ReadWrite', base } as const,
})
const image = (letter: string, pullSecrets: object[] = []) =>
  genImage('debian', {
    spec: { source: { registry: { image: 'registry.example/debian:12', pullSecrets } } },
    status: { observedGeneration: 1, resolved: genResolved(letter) },
  })
const reference = (letter: string) => `registry.example/debian@${digestOf(letter)}`
const arm = { os: 'linux', architecture: 'arm64' }

describe('an instance runs', () => {
  test('on the image that it asks for, where nothing is written upon another', () => {
    expect(chooseImage(image('b'), undefined)).toMatchObject({ base: { digest: digestOf('b') } })
    expect(chooseImage(image('b'), written(undefined))).toMatchObject({ base: { digest: digestOf('b') } })
    expect(chooseImage(image('b'), written('b'))).toMatchObject({ base: { digest: digestOf('b') } })
  })

  test.each([undefined, 'Keep'] as const)('on the image below its overlay, and says so: base %s', (base) => {
    expect(chooseImage(image('b'), written('a', base))).toEqual({
      base: baseOf('a'),
      drifted: { reference: reference('b'), obstacle: undefined },
    })
  })

  test('on the one that it asks for, and takes its overlay along, when told to follow', () => {
    expect(chooseImage(image('b'), written('a', 'Follow'))).toEqual({ base: baseOf('b'), leaves: reference('a') })
  })

  test('on the image below its overlay, whatever it is told, when the other is for another processor', () => {
    const { base, drifted } = chooseImage(image('b'), written('a', 'Follow', { platform: arm })) ?? {}
    expect(base).toMatchObject({ digest: digestOf('a') })
    expect(drifted?.obstacle).toContain('it holds programs for linux/arm64, and the image is for linux/amd64')
  })

  test.each([
    ['is gone', undefined],
    ['is not resolved', genImage('debian', { status: {} })],
  ])('on the image below its overlay, though the ContainerImage %s', (_, missing) => {
    expect(chooseImage(missing, written('a'))).toEqual({ base: baseOf('a') })
    expect(chooseImage(missing, written('a', 'Follow'))).toEqual({ base: baseOf('a') })
    expect(chooseImage(missing, written(undefined))).toBeUndefined()
  })
})

describe('the node reads it with', () => {
  const secretsOf = (...[asked, by]: Parameters<typeof chooseImage>) => {
    const chosen = chooseImage(asked, by)
    return chosen && pullSecretsFor(asked, chosen).map(({ name, optional }) => (optional ? `${name}?` : name))
  }
  const remembers = { pullSecrets: [{ name: 'first' }] }

  test('the secrets that the ContainerImage names', () => {
    expect(secretsOf(image('a', [{ name: 'one' }, { name: 'two' }]), undefined)).toEqual(['one', 'two'])
    expect(secretsOf(image('a', [{ name: 'one' }]), written('a', 'Keep', remembers))).toEqual(['one'])
  })

  test('of an earlier image those that its overlay remembers first, and none that the pod would wait for', () => {
    expect(secretsOf(image('b', [{ name: 'one' }]), written('a', 'Keep', remembers))).toEqual(['first?', 'one?'])
    expect(secretsOf(image('b', [{ name: 'first' }]), written('a', 'Keep', remembers))).toEqual(['first?'])
    expect(secretsOf(undefined, written('a', 'Keep', remembers))).toEqual(['first?'])
  })
})
