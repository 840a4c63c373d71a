/**
 * Writes `pod-template.schema.json` from an API server's OpenAPI: run after a
 * change of the Kubernetes version.
 *
 * usage: kubectl get --raw /openapi/v3/api/v1 | node crds/fetch-pod-schema.ts
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as z from 'zod'

const documentSchema = z.object({ components: z.object({ schemas: z.record(z.string(), z.unknown()) }) })
const { schemas } = documentSchema.parse(JSON.parse(readFileSync(0, 'utf8'))).components

type Schema = Record<string, unknown>
const isSchema = (value: unknown): value is Schema =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const referencePrefix = '#/components/schemas/'
const kept = new Set([
  'type',
  'format',
  'required',
  'x-kubernetes-list-type',
  'x-kubernetes-list-map-keys',
  'x-kubernetes-map-type',
  'enum',
])

/** Quantities and ports come as numbers or words. */
const intOrString = { 'x-kubernetes-int-or-string': true }
const scalars: Record<string, Schema> = {
  'io.k8s.apimachinery.pkg.api.resource.Quantity': intOrString,
  'io.k8s.apimachinery.pkg.util.intstr.IntOrString': intOrString,
  'io.k8s.apimachinery.pkg.apis.meta.v1.Time': { type: 'string', format: 'date-time' },
}

const named = (name: string): Schema => {
  const schema = scalars[name] ?? schemas[name]
  if (!isSchema(schema)) throw new Error(`the OpenAPI document has no ${name}`)
  return scalars[name] ?? inline(schema)
}

/** The schema with every reference replaced by what it names, without descriptions and defaults. */
const inline = (schema: Schema): Schema => {
  const [only] = Array.isArray(schema.allOf) ? schema.allOf : [schema]
  if (isSchema(only) && typeof only.$ref === 'string') return named(only.$ref.slice(referencePrefix.length))
  const result: Schema = Object.fromEntries(Object.entries(schema).filter(([key]) => kept.has(key)))
  if (isSchema(schema.properties)) {
    result.properties = Object.fromEntries(
      Object.entries(schema.properties).map(([key, value]) => [key, isSchema(value) ? inline(value) : value]),
    )
  }
  if (isSchema(schema.items)) {
    result.items = inline(schema.items)
    keepKeyDefaults(result)
  }
  if (isSchema(schema.additionalProperties)) result.additionalProperties = inline(schema.additionalProperties)
  return result
}

/** A key of a list that is not required must have a default: `protocol` of ports. */
const keepKeyDefaults = (list: Schema): void => {
  const keys = list['x-kubernetes-list-map-keys']
  if (!Array.isArray(keys) || !isSchema(list.items) || !isSchema(list.items.properties)) return
  const required = Array.isArray(list.items.required) ? list.items.required : []
  for (const key of keys) {
    const property = list.items.properties[key]
    if (required.includes(key) || !isSchema(property)) continue
    property.default = key === 'protocol' ? 'TCP' : property.type === 'string' ? '' : 0
  }
}

const core = (name: string) => named(`io.k8s.api.core.v1.${name}`)

/** A template laid over another pod requires nothing itself. */
const lenient = (schema: Schema): Schema => {
  const { required: _, ...rest } = schema
  return rest
}

/** The API server refuses a new pod that has ephemeral containers. */
const withoutEphemeralContainers = (schema: Schema): Schema => {
  if (!isSchema(schema.properties)) return schema
  const { ephemeralContainers: _, ...properties } = schema.properties
  return { ...schema, properties }
}

const podSpec = withoutEphemeralContainers(lenient(core('PodSpec')))
const result = {
  Container: core('Container'),
  PodSpec: podSpec,
  PodTemplateSpec: {
    type: 'object',
    properties: {
      metadata: {
        description: 'Labels and annotations of the pod.',
        type: 'object',
        properties: {
          labels: { type: 'object', additionalProperties: { type: 'string' } },
          annotations: { type: 'object', additionalProperties: { type: 'string' } },
        },
      },
      spec: { description: "As in a pod; what is left out is Lamina's.", ...podSpec },
    },
  },
}
writeFileSync(join(import.meta.dirname, 'pod-template.schema.json'), `${JSON.stringify(result)}\n`)
