import { containerImage } from '../support/objects.ts'
import { labelMessage, objectNameMessage, pathMessage, type Rule } from './rule.ts'

export const image = (name: string) => containerImage(name, 'debian:12')
const imageFrom = (source: object, spec: object = {}) => ({ ...image('from'), spec: { source, ...spec } })
const sum = 'a'.repeat(64)
const file = (url: string, more: object = { sha256: sum }) => imageFrom({ file: { url, ...more } })
const refreshed = (refresh: object) => imageFrom({ registry: { image: 'debian' } }, { refresh })
const onVolume = (volume: object) => imageFrom({ volume: { claimName: 'images', ...volume } })

export const rules: Rule[] = [
  {
    message: labelMessage(63),
    at: '<nil>: Invalid value',
    allowed: [image('a'.repeat(63))],
    refused: [image('dotted.name'), image('a'.repeat(64))],
  },
  {
    message: 'source needs exactly one of registry, file and volume',
    at: 'spec.source: Invalid value',
    allowed: [image('one'), file('https://example.com/tools.sif'), onVolume({})],
    refused: [imageFrom({}), imageFrom({ registry: { image: 'debian' }, volume: { claimName: 'images' } })],
  },
  {
    message: 'url must be https://host/… or oras://registry/repository:tag',
    at: 'spec.source.file.url: Invalid value: "http://example.com/tools.sif"',
    allowed: [file('https://example.com:8443/a/b.sif?version=1'), file('oras://ghcr.io/owner/name:1', {})],
    refused: [
      'http://example.com/tools.sif',
      'docker://debian',
      'https://',
      '/tools.sif',
      'oras://',
      'oras://host',
    ].map((url) => file(url)),
  },
  {
    message: 'url has no place for credentials: use pullSecrets with oras, or a file that is open to all',
    at: 'spec.source.file.url: Invalid value: "https://user:secret@example.com/tools.sif"',
    allowed: [file('https://example.com/user@host'), file(`oras://ghcr.io/owner/name@sha256:${sum}`, {})],
    refused: [file('https://user:secret@example.com/tools.sif'), file('oras://user@ghcr.io/owner/name:1', {})],
  },
  {
    message: 'sha256 must be 64 hexadecimal digits and nothing else: what sha256sum prints before the name',
    at: `spec.source.file.sha256: Invalid value: "${'g'.repeat(64)}"`,
    allowed: [file('https://example.com/tools.sif', { sha256: 'Ab'.repeat(32) })],
    refused: ['g'.repeat(64), 'a'.repeat(63), `sha256:${sum}`, `${sum}  tools.sif`].map((sha256) =>
      file('https://example.com/tools.sif', { sha256 }),
    ),
  },
  {
    message: 'sha256 is required with https: give what sha256sum says of the file',
    at: 'spec.source.file: Invalid value',
    allowed: [file('https://example.com/tools.sif'), file('oras://ghcr.io/owner/name:1', {})],
    refused: [file('https://example.com/tools.sif', {})],
  },
  {
    message: 'pullSecrets are for registries: leave them out with https',
    at: 'spec.source.file: Invalid value',
    allowed: [file('oras://ghcr.io/owner/name:1', { pullSecrets: [{ name: 'registry' }] })],
    refused: [file('https://example.com/tools.sif', { sha256: sum, pullSecrets: [{ name: 'registry' }] })],
  },
  {
    message: objectNameMessage('pullSecrets[].name', 'Secret'),
    at: 'spec.source.registry.pullSecrets[0].name: Invalid value: "My_Secret"',
    allowed: [imageFrom({ registry: { image: 'debian', pullSecrets: [{ name: 'a.b-c' }] } })],
    refused: [
      imageFrom({ registry: { image: 'debian', pullSecrets: [{ name: 'My_Secret' }] } }),
      file('oras://ghcr.io/owner/name:1', { pullSecrets: [{ name: 'a..b' }] }),
    ],
  },
  {
    message: objectNameMessage('claimName', 'PersistentVolumeClaim'),
    at: 'spec.source.volume.claimName: Invalid value: "Images"',
    allowed: [onVolume({ claimName: 'images.of-team' })],
    refused: [onVolume({ claimName: 'Images' }), onVolume({ claimName: 'images/tools.sif' })],
  },
  {
    message: 'a claim that holds an overlay cannot be an image: use another',
    at: 'spec.source.volume.claimName: Invalid value: "lamina-dev"',
    allowed: [onVolume({ claimName: 'images' })],
    refused: [onVolume({ claimName: 'lamina-dev' })],
  },
  {
    message: pathMessage('images/tools.sif'),
    at: 'spec.source.volume.path: Invalid value: "/a"',
    allowed: [onVolume({ path: '' }), onVolume({ path: 'a/.hidden/..b' }), onVolume({ path: 'Übung 1/maß.sif' })],
    refused: [
      onVolume({ path: '/a' }),
      onVolume({ path: '../a' }),
      onVolume({ path: 'a/./b' }),
      onVolume({ path: '..' }),
      onVolume({ path: 'a//b' }),
      onVolume({ path: 'a/' }),
      onVolume({ path: 'a\nb' }),
      onVolume({ path: 'a\u007f' }),
      onVolume({ path: 'a'.repeat(256) }),
    ],
  },
  {
    message: 'periodSeconds must be from 60 (a minute) to 2678400 (31 days)',
    at: 'spec.refresh.periodSeconds: Invalid value: 59',
    allowed: [60, 2_678_400].map((periodSeconds) => refreshed({ policy: 'Interval', periodSeconds })),
    refused: [59, 0, -1, 2_678_401].map((periodSeconds) => refreshed({ policy: 'Interval', periodSeconds })),
  },
  {
    message: 'prefetch is for images that nodes fetch: leave it out with an image on a volume',
    at: 'spec.prefetch: Invalid value',
    allowed: [imageFrom({ registry: { image: 'debian' } }, { prefetch: { nodeSelector: { disk: 'ssd' } } })],
    refused: [imageFrom({ volume: { claimName: 'images' } }, { prefetch: {} })],
  },
]
