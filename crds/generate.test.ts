import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { crdFile, crdOf, crdYaml, kinds } from './generate.ts'

const root = join(import.meta.dirname, '..')

type Schema = Record<string, unknown>
const isSchema = (value: unknown): value is Schema =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

interface Field {
  path: string
  schema: Schema
}

/** Every field below a schema, lists by their items. */
const fieldsOf = (schema: Schema, path: string): Field[] => {
  const items = isSchema(schema.items) ? fieldsOf(schema.items, path) : []
  const properties = isSchema(schema.properties) ? Object.entries(schema.properties) : []
  return [
    ...items,
    ...properties.flatMap(([name, property]) =>
      isSchema(property)
        ? [{ path: `${path}.${name}`, schema: property }, ...fieldsOf(property, `${path}.${name}`)]
        : [],
    ),
  ]
}

/** Fields whose schema is Kubernetes' own: theirs is the whole documentation, ours the field itself. */
const kubernetesOwn = [
  ...['env', 'envFrom', 'ports', 'resources', 'volumes', 'volumeMounts'].map((field) => `spec.${field}.`),
  'spec.podTemplate.',
]

describe.each(kinds)('$kind', (definition) => {
  const { spec, status } = crdOf(definition).spec.versions[0]?.schema.openAPIV3Schema.properties ?? {}
  const ours = [...fieldsOf({ ...spec }, 'spec'), ...fieldsOf({ ...status }, 'status')].filter(
    ({ path }) => !kubernetesOwn.some((prefix) => path.startsWith(prefix)),
  )

  test.each(['crds/generated', 'charts/lamina/files/crds'])('is written to %s as its schema says', (dir) => {
    const written = readFileSync(join(root, dir, crdFile(definition)), 'utf8')
    expect(written, 'stale: run npm run generate').toBe(crdYaml(definition))
  })

  test('describes every field', () => {
    expect(ours.length).toBeGreaterThan(10)
    expect(ours.filter(({ schema }) => typeof schema.description !== 'string').map(({ path }) => path)).toEqual([])
  })

  test('bounds every string and list, or the API server could not count what a rule costs', () => {
    const unbounded = ours.filter(({ path, schema }) => {
      if (kubernetesOwn.includes(`${path}.`)) return false
      if (schema.type === 'array') return schema.maxItems === undefined
      return schema.type === 'string' && schema.maxLength === undefined && !schema.enum && schema.format !== 'date-time'
    })
    expect(unbounded.map(({ path }) => path)).toEqual([])
  })
})

test.each(['crds/generated', 'charts/lamina/files/crds'])('%s holds nothing else', (dir) => {
  expect(readdirSync(join(root, dir)).sort()).toEqual(kinds.map(crdFile).sort())
})
