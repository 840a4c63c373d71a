import * as z from 'zod'
import { objectMetadataSchema, type Resource } from '../../kube/resource.ts'

const namedSchema = z.object({ metadata: objectMetadataSchema })
type Named = z.infer<typeof namedSchema>

/** A kind of which only names are asked: an object that this version cannot read has one, too. */
export const named = (resource: Omit<Resource<Named>, 'parse'>): Resource<Named> => ({
  ...resource,
  parse: (json) => namedSchema.parse(json),
})

export const namespaces = named({
  group: '',
  version: 'v1',
  plural: 'namespaces',
  kind: 'Namespace',
  namespaced: false,
})
