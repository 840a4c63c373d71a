import { instance } from '../support/objects.ts'
import { labelMessage, nameMessage, type Rule } from './rule.ts'

const running = (spec: object) => instance('dev', { ...spec })
const templated = (spec: object) => running({ podTemplate: { spec } })
const reader = { name: 'base', access: 'ReadOnly' as const }

export const rules: Rule[] = [
  {
    message: labelMessage(63),
    at: '<nil>: Invalid value',
    allowed: [running({})],
    refused: [instance('dotted.name', {}), instance('a'.repeat(64), {})],
  },
  {
    message: nameMessage('imageRef.name', 'ContainerImage'),
    at: 'spec.imageRef.name: Invalid value: "Debian"',
    allowed: [running({ image: 'debian-12' })],
    refused: ['Debian', 'debian:12', 'debian.12', '-a'].map((image) => running({ image })),
  },
  {
    message: nameMessage('overlays[].name', 'PersistentOverlay'),
    at: 'spec.overlays[0].name: Invalid value: "My"',
    allowed: [running({ overlays: ['mine-1'] })],
    refused: ['My', 'my.overlay', 'mine/', 'a_b'].map((name) => running({ overlays: [name] })),
  },
  {
    message: 'workingDir must be a path from the root, without control characters: /home/me',
    at: 'spec.workingDir: Invalid value: "../x"',
    allowed: ['/', '/home/me', '', '/a b/ü'].map((workingDir) => running({ workingDir })),
    refused: ['../x', 'home', './x', '~', '/a\nb'].map((workingDir) => running({ workingDir })),
  },
  ...['limits', 'requests'].map((field) => ({
    at: `spec.resources.${field}: Invalid value`,
    message: `resources.${field} must be quantities: 500m or 2 of cpu, 512Mi or 4Gi of memory`,
    allowed: [{ cpu: 2, memory: '1.5Gi' }, { cpu: '0.5', 'example.com/gpu': '1' }, {}].map((value) =>
      running({ resources: { [field]: value } }),
    ),
    refused: [{ cpu: '1 gig' }, { cpu: 1, memory: '2GB' }, { memory: '' }].map((value) =>
      running({ resources: { [field]: value } }),
    ),
  })),
  {
    message: 'resources.limits.memory must be at least 1Mi, such as 512Mi (m means thousandths of a byte)',
    at: 'spec.resources.limits: Invalid value',
    allowed: ['1Mi', '64Mi', 1_048_576].map((memory) => running({ resources: { limits: { memory } } })),
    refused: ['512m', '512', 512, '0'].map((memory) => running({ resources: { limits: { memory } } })),
  },
  {
    message: "command must begin with a program: leave it out for the image's own",
    at: 'spec.command: Invalid value',
    allowed: [running({ command: ['true'] }), running({ args: [] })],
    refused: [running({ command: [] }), running({ command: [''] })],
  },
  {
    message: 'at most one overlay can be ReadWrite: set access: ReadOnly on the others',
    at: 'spec.overlays: Invalid value',
    allowed: [running({ overlays: ['mine', reader] }), running({ overlays: [reader, { ...reader, name: 'more' }] })],
    refused: [running({ overlays: ['mine', 'yours'] })],
  },
  {
    message: 'base: Follow is for the overlay that is written: leave it out with access: ReadOnly',
    at: 'spec.overlays: Invalid value',
    allowed: [
      running({ overlays: [{ name: 'mine', access: 'ReadWrite', base: 'Follow' }, reader] }),
      running({ overlays: [{ ...reader, base: 'Keep' }] }),
    ],
    refused: [running({ overlays: [{ ...reader, base: 'Follow' }] })],
  },
  {
    message: 'sizeLimit must be a quantity of at least 1Mi and below 8Ei, such as 2Gi (m means thousandths)',
    at: 'spec.ephemeral.sizeLimit: Invalid value: "two"',
    allowed: [running({ ephemeral: { sizeLimit: '2Gi' } }), running({ ephemeral: { medium: 'Memory' } })],
    refused: ['two', '0', '-5Mi', '512m', '9Ei'].map((sizeLimit) => running({ ephemeral: { sizeLimit } })),
  },
  {
    message: 'ephemeral is for an instance without a ReadWrite overlay: leave one of the two out',
    at: 'spec.ephemeral: Invalid value',
    allowed: [running({ ephemeral: {} }), running({ ephemeral: {}, overlays: [reader] })],
    refused: [running({ ephemeral: {}, overlays: ['mine'] })],
  },
  {
    message: 'entrypoint says what runs without command and args: leave it out, or those',
    at: 'spec.entrypoint: Invalid value',
    allowed: [running({ entrypoint: 'Image' }), running({ command: ['true'], args: ['x'] })],
    refused: [running({ entrypoint: 'Image', command: ['true'] }), running({ entrypoint: 'Idle', args: ['x'] })],
  },
  {
    message: 'a service needs ports: name them in spec.ports',
    at: 'spec.service: Invalid value',
    allowed: [running({ service: {}, ports: [{ containerPort: 80 }] })],
    refused: [running({ service: {} }), running({ service: {}, ports: [] })],
  },
  {
    message: 'runtimeClassName is set by Lamina: leave it out',
    at: 'spec.podTemplate.spec.runtimeClassName: Invalid value',
    allowed: [templated({ priorityClassName: 'high' })],
    refused: [templated({ runtimeClassName: 'lamina' })],
  },
  {
    message: 'nodeName would pass the scheduler by: use nodeSelector or affinity',
    at: 'spec.podTemplate.spec.nodeName: Invalid value',
    allowed: [templated({ nodeSelector: { disk: 'fast' } })],
    refused: [templated({ nodeName: 'localhost' })],
  },
  {
    message: 'hostUsers: false is not possible: an overlay would keep shifted owners',
    at: 'spec.podTemplate.spec.hostUsers: Invalid value',
    allowed: [templated({ hostUsers: true }), running({ podTemplate: { metadata: { labels: { a: 'b' } } } })],
    refused: [templated({ hostUsers: false })],
  },
  {
    message: 'set spec.restartPolicy of the Instance, not of its podTemplate',
    at: 'spec.podTemplate.spec.restartPolicy: Invalid value',
    allowed: [running({ restartPolicy: 'Never' })],
    refused: [templated({ restartPolicy: 'Never' })],
  },
]
