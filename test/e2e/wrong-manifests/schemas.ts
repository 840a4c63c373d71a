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
  {
    what: 'a kind that there is not',
    manifest: { ...running({}), kind: 'Instances' },
    answer:
      'error: resource mapping not found for name: "dev" namespace: "team" from "STDIN": no matches for kind "Instances" in version "lamina.dev/v1alpha1"\nensure CRDs are installed first',
  },
  {
    what: 'a misspelt field',
    manifest: running({ imagRef: { name: 'debian' } }),
    answer:
      'Error from server (BadRequest): error when creating "STDIN": Instance in version "v1alpha1" cannot be handled as a Instance: strict decoding error: unknown field "spec.imagRef"',
  },
  {
    what: 'a misspelt field of the pod',
    manifest: running({ podTemplate: { spec: { nodeSelectors: {} } } }),
    answer:
      'Error from server (BadRequest): error when creating "STDIN": Instance in version "v1alpha1" cannot be handled as a Instance: strict decoding error: unknown field "spec.podTemplate.spec.nodeSelectors"',
  },
  {
    what: 'a word that is none of the possible',
    manifest: running({ state: 'Paused' }),
    answer:
      'The Instance "dev" is invalid: \n* spec.state: Unsupported value: "Paused": supported values: "Running", "Stopped"\n* <nil>: Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation',
  },
  {
    what: 'an image without a source',
    manifest: image({}),
    answer:
      'The ContainerImage "debian" is invalid: \n* spec.source: Required value\n* <nil>: Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation',
  },
  {
    what: 'an image by its reference alone',
    manifest: image({ source: 'debian:12' }),
    answer:
      'The ContainerImage "debian" is invalid: \n* spec.source: Invalid value: "string": spec.source in body must be of type object: "string"\n* <nil>: Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation',
  },
  {
    what: 'an instance without an image',
    manifest: { ...running({}), spec: {} },
    answer:
      'The Instance "dev" is invalid: \n* spec.imageRef: Required value\n* <nil>: Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation',
  },
  {
    what: 'an overlay by its name alone',
    manifest: { ...running({}), spec: { imageRef: { name: 'debian' }, overlays: ['dev'] } },
    answer:
      'The Instance "dev" is invalid: \n* spec.overlays[0]: Invalid value: "string": spec.overlays[0] in body must be of type object: "string"\n* spec.overlays[0]: Invalid value: "dev": must be an object for an array of list-type map\n* <nil>: Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation',
  },
  {
    what: 'an overlay twice',
    manifest: running({ overlays: [reader, reader] }),
    answer: 'The Instance "dev" is invalid: spec.overlays[1]: Duplicate value: {"name":"base"}',
  },
  {
    what: 'an access that is none',
    manifest: { ...running({}), spec: { imageRef: { name: 'debian' }, overlays: [{ name: 'dev', access: 'rw' }] } },
    answer:
      'The Instance "dev" is invalid: \n* spec.overlays[0].access: Unsupported value: "rw": supported values: "ReadWrite", "ReadOnly"\n* <nil>: Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation',
  },
  {
    what: 'a time that is too short',
    manifest: running({ idleTimeoutSeconds: 5 }),
    answer:
      'The Instance "dev" is invalid: spec.idleTimeoutSeconds: Invalid value: 5: spec.idleTimeoutSeconds in body should be greater than or equal to 30',
  },
  {
    what: 'a size without quotes or unit',
    manifest: overlay({ size: 4 }),
    answer:
      'The PersistentOverlay "dev" is invalid: \n* spec.size: Invalid value: "integer": spec.size in body must be of type string: "integer"\n* <nil>: Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation',
  },
  {
    what: 'too dense inodes',
    manifest: overlay({ ext3: { bytesPerInode: 1 } }),
    answer:
      'The PersistentOverlay "dev" is invalid: spec.ext3.bytesPerInode: Invalid value: 1: spec.ext3.bytesPerInode in body should be greater than or equal to 1024',
  },
]
