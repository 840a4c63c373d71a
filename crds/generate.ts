/**
 * Writes the CustomResourceDefinitions from the schemas: `generated/*.yaml`, and
 * the chart's templates.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import * as z from 'zod'
import { group, version } from '../kube/names.ts'
import type { KindDefinition } from './common.ts'
import { containerImage } from './container-image.ts'
import { instance } from './instance.ts'
import { persistentOverlay } from './persistent-overlay.ts'

export const kinds: readonly KindDefinition[] = [containerImage, persistentOverlay, instance]

type Schema = Record<string, unknown>

const isSchema = (value: unknown): value is Schema =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const podTemplateFile = join(import.meta.dirname, 'pod-template.schema.json')

/** Kubernetes' own schemas, without descriptions, from an API server's OpenAPI (see `fetch-pod-schema.ts`). */
const kubernetesSchemas: ReadonlyMap<string, unknown> = new Map(
  Object.entries(z.record(z.string(), z.unknown()).parse(JSON.parse(readFileSync(podTemplateFile, 'utf8')))),
)

const kubernetesSchema = (path: string): Schema => {
  const [type = '', field] = path.split('.')
  const whole = kubernetesSchemas.get(type)
  const part = field === undefined ? whole : isSchema(whole) && isSchema(whole.properties) && whole.properties[field]
  if (!isSchema(part)) throw new Error(`pod-template.schema.json has no ${path}`)
  return structuredClone(part)
}

/** CEL goes over no map that may be of any size. */
const boundKeys = ({ properties }: Schema, most: Schema): void => {
  for (const [name, maxProperties] of Object.entries(most)) {
    const map = isSchema(properties) ? properties[name] : undefined
    if (!isSchema(map)) throw new Error(`there is no map "${name}" to bound`)
    map.maxProperties = maxProperties
  }
}

/** Turns what `meta` said into what a structural schema says. */
const structural = (node: Schema): Schema => {
  const { kubernetes, mostKeys, rules, listMapKey, propertyNames: _, ...rest } = node
  const schema: Schema = typeof kubernetes === 'string' ? { ...kubernetesSchema(kubernetes), ...rest } : rest
  if (isSchema(mostKeys)) boundKeys(schema, mostKeys)
  if (schema.additionalProperties === false) delete schema.additionalProperties
  if (rules) schema['x-kubernetes-validations'] = rules
  if (listMapKey) Object.assign(schema, { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': [listMapKey] })
  if (schema.type === 'integer') {
    if (schema.maximum === Number.MAX_SAFE_INTEGER) delete schema.maximum
    if (schema.minimum === Number.MIN_SAFE_INTEGER) delete schema.minimum
    schema.format = 'int64'
  }
  if (typeof kubernetes === 'string') return schema
  if (isSchema(schema.properties)) {
    schema.properties = Object.fromEntries(
      Object.entries(schema.properties).map(([name, value]) => [name, isSchema(value) ? structural(value) : value]),
    )
  }
  if (isSchema(schema.additionalProperties)) schema.additionalProperties = structural(schema.additionalProperties)
  if (isSchema(schema.items)) schema.items = structural(schema.items)
  return schema
}

const toStructural = (schema: z.ZodObject, description: string): Schema => {
  const json = z.toJSONSchema(schema, { target: 'openapi-3.0', io: 'input', unrepresentable: 'any', cycles: 'throw' })
  const { $schema: _, ...whole } = json
  return { ...structural(whole), description }
}

/** The CustomResourceDefinition of a kind, as an object ready for YAML. */
export const crdOf = (definition: KindDefinition) => ({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: {
    name: `${definition.plural}.${group}`,
    annotations: { 'helm.sh/resource-policy': 'keep' },
  },
  spec: {
    group,
    scope: 'Namespaced',
    names: {
      kind: definition.kind,
      listKind: `${definition.kind}List`,
      plural: definition.plural,
      singular: definition.singular,
      shortNames: [definition.shortName],
      categories: ['lamina'],
    },
    versions: [
      {
        name: version,
        served: true,
        storage: true,
        subresources: { status: {} },
        additionalPrinterColumns: definition.columns,
        schema: {
          openAPIV3Schema: {
            type: 'object',
            description: definition.description,
            required: ['spec'],
            properties: {
              apiVersion: { type: 'string' },
              kind: { type: 'string' },
              metadata: { type: 'object' },
              spec: toStructural(definition.spec, 'What is wanted.'),
              status: {
                ...toStructural(definition.status, 'What is.'),
                default: { observedGeneration: -1 },
              },
            },
            'x-kubernetes-validations': definition.rules,
          },
        },
      },
    ],
  },
})

export const crdYaml = (definition: KindDefinition): string =>
  `# Generated from crds/*.ts by \`npm run generate\`; do not edit.\n${stringify(crdOf(definition), { aliasDuplicateObjects: false, lineWidth: 0 })}`

export const crdFile = ({ plural }: KindDefinition): string => `${group}_${plural}.yaml`

export const writeCrds = (): void => {
  const root = join(import.meta.dirname, '..')
  for (const dir of ['crds/generated', 'charts/lamina/files/crds']) {
    mkdirSync(join(root, dir), { recursive: true })
    for (const kind of kinds) writeFileSync(join(root, dir, crdFile(kind)), crdYaml(kind))
  }
}
