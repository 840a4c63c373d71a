import { containerImage, instance, persistentOverlay } from '../support/objects.ts'
import type { Judged } from './rule.ts'

/** What the schemas alone refuse, without a rule of ours, and the whole of what kubectl then says. */
export interface Mistake {
  what: string
  manifest: Judged
  answer: string
}

const image = (spec: object) => ({ ...containerImage('debian', 'debian:12'), spec })
const overlay = (spec: object) => persistentOverlay('dev', spec)
const running = (spec: Parameters<typeof instance>[1]) => instance('dev', spec)
const reader = { name: 'base', access: 'ReadOnly' as const }

export const mistakes: Mistake[] = [
  { what: 'a kind that there is not', manifest: { ...running({}), kind: 'Instances' }, answer: 'TODO' },
  { what: 'a misspelt field', manifest: running({ imagRef: { name: 'debian' } }), answer: 'TODO' },
  {
    what: 'a misspelt field of the pod',
    manifest: running({ podTemplate: { spec: { nodeSelectors: {} } } }),
    answer: 'TODO',
  },
  { what: 'a word that is none of the possible', manifest: running({ state: 'Paused' }), answer: 'TODO' },
  { what: 'an image without a source', manifest: image({}), answer: 'TODO' },
  { what: 'an image by its reference alone', manifest: image({ source: 'debian:12' }), answer: 'TODO' },
  { what: 'an instance without an image', manifest: { ...running({}), spec: {} }, answer: 'TODO' },
  {
    what: 'an overlay by its name alone',
    manifest: { ...running({}), spec: { imageRef: { name: 'debian' }, overlays: ['dev'] } },
    answer: 'TODO',
  },
  { what: 'an overlay twice', manifest: running({ overlays: [reader, reader] }), answer: 'TODO' },
  {
    what: 'an access that is none',
    manifest: { ...running({}), spec: { imageRef: { name: 'debian' }, overlays: [{ name: 'dev', access: 'rw' }] } },
    answer: 'TODO',
  },
  { what: 'a time that is too short', manifest: running({ idleTimeoutSeconds: 5 }), answer: 'TODO' },
  { what: 'a size without quotes or unit', manifest: overlay({ size: 4 }), answer: 'TODO' },
  { what: 'too dense inodes', manifest: overlay({ ext3: { bytesPerInode: 1 } }), answer: 'TODO' },
]
