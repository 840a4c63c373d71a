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
    [
      'a mount in our place, spelt otherwise',
      { volumeMounts: [{ name: 'v', mountPath: '//etc/../.lamina/init' }] },
      /at \/\/etc\/\.\.\/\.lamina\/init/,
    ],
    ['a mount over the root', { volumeMounts: [{ name: 'v', mountPath: '//' }] }, /volumeMount "v" at \/\/.*below/],
    ['a container by a name misspelt', template({ containers: [{ name: 'Main', tty: true }] }), /"Main".*"main"/],
    [
      'a working directory from nowhere',
      template({ containers: [{ name: 'main', workingDir: '../x' }] }),
      /workingDir "\.\.\/x" .*from the root/,
    ],
    ['no program', template({ containers: [{ name: 'main', command: [] }] }), /command of .* main must begin with/],
    [
      'memory in thousandths of bytes',
      template({ containers: [{ name: 'side', image: 'x', resources: { limits: { memory: '512m' } } }] }),
      /resources\.limits\.memory .*"side" must be at least 1Mi/,
    ],
    [
      'an emptyDir of no size',
      { volumes: [{ name: 'v', emptyDir: { sizeLimit: 'big' } }] },
      /^spec\.volumes\[0\]\.emptyDir\.sizeLimit: "big" is not a quantity/,
    ],
  ])('%s', (_, spec, words) => {
    expect(problem(spec)).toMatch(words)
  })

  test.each([
    ['resources', { limits: { cpu: '1 gig' } }, 'resources.limits.cpu: "1 gig"'],
    ['resources', { requests: { memory: '2GB' } }, 'resources.requests.memory: "2GB"'],
    [
      'env',
      [{ name: 'X', valueFrom: { resourceFieldRef: { resource: 'limits.cpu', divisor: 'x' } } }],
      'env[0].valueFrom.resourceFieldRef.divisor: "x"',
    ],
  ])('what is no quantity, in %s of a container', (field, value, words) => {
    expect(problem(template({ containers: [{ name: 'main', [field]: value }] }))).toContain(
      `spec.podTemplate.spec.containers[0].${words} is not a quantity`,
    )
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

  test.each(['1', '1.5', '.5', '5.', '+1', '-1', '500m', '1n', '1e3', '1E-3', '1E', '4Gi', 2])(
    '%s is a quantity',
    (cpu) => {
      expect(
        problem(template({ containers: [{ name: 'main', resources: { limits: { cpu } } }], overhead: { cpu } })),
      ).toBeUndefined()
    },
  )

  test('names are words as any, even where fields of quantities have them', () => {
    const named = { labelSelector: { matchLabels: { limits: 'x', sizeLimit: 'y' } }, topologyKey: 'z' }
    const podAffinity = { requiredDuringSchedulingIgnoredDuringExecution: [named] }
    expect(problem(template({ affinity: { podAffinity }, nodeSelector: { divisor: 'x' } }))).toBeUndefined()
  })
})
