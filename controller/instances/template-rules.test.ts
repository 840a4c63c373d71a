import { describe, expect, test } from 'vitest'
import { genInstance, genOverlay } from '../../test/gen/objects.ts'
import { templateProblem } from './template-rules.ts'

const problem = (spec: object, overlays = [genOverlay('image')]) =>
  templateProblem(genInstance('dev', { spec: { imageRef: { name: 'i' }, ...spec } }).spec, overlays)
const template = (spec: object) => ({ podTemplate: { spec } })

describe('what a podTemplate may not ask for is refused in words that name the field', () => {
  test.each([
    [
      'a thing in both places',
      { workingDir: '/a', ...template({ containers: [{ name: 'main', workingDir: '/b' }] }) },
      /workingDir/,
    ],
    ['another image', template({ containers: [{ name: 'main', image: 'x' }] }), /imageRef/],
    ['an init container `prepare`', template({ initContainers: [{ name: 'prepare' }] }), /"prepare"/],
    ['a container `prepare`', template({ containers: [{ name: 'prepare' }] }), /"prepare"/],
    ['a volume of our names', template({ volumes: [{ name: 'lamina-0', emptyDir: {} }] }), /"lamina-0"/],
    [
      'a claim of ours',
      { volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'lamina-work' } }] },
      /spec\.overlays/,
    ],
    ['a mount of our volumes', { volumeMounts: [{ name: 'lamina-0', mountPath: '/x' }] }, /lamina-0/],
    [
      'a mount in our place',
      template({ containers: [{ name: 'side', volumeMounts: [{ name: 'v', mountPath: '/.lamina/x' }] }] }),
      /\/\.lamina/,
    ],
    [
      'a device of ours',
      template({ containers: [{ name: 'side', volumeDevices: [{ name: 'lamina-0', devicePath: '/dev/x' }] }] }),
      /volumeDevice "lamina-0"/,
    ],
  ])('%s', (_, spec, words) => {
    expect(problem(spec)).toMatch(words)
  })

  test('a fsGroup, over an overlay of plain directories: the kubelet would change its files', () => {
    const withGroup = template({ securityContext: { fsGroup: 1000 } })
    const directory = genOverlay('plain', { spec: { format: 'Directory' } })
    expect(problem(withGroup, [genOverlay('image'), directory])).toMatch(/fsGroup.*"plain"/)
    expect(problem(withGroup)).toBeUndefined()
    expect(problem({}, [directory])).toBeUndefined()
  })

  test('an ordinary template is none', () => {
    expect(
      problem(template({ containers: [{ name: 'main', tty: true }], volumes: [{ name: 'v', emptyDir: {} }] })),
    ).toBeUndefined()
  })
})
