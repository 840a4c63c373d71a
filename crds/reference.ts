/** Writes docs/reference.md from the schemas. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as z from 'zod'
import { group, version } from '../kube/names.ts'
import type { KindDefinition } from './common.ts'
import { kinds } from './generate.ts'

const ruleSchema = z.object({ message: z.string() })

/** What a field's schema says, as far as the page tells of it. */
interface Field {
  type?: string | undefined
  format?: string | undefined
  enum?: string[] | undefined
  default?: unknown
  description?: string | undefined
  kubernetes?: string | undefined
  listMapKey?: string | undefined
  rules?: { message: string }[] | undefined
  required?: string[] | undefined
  properties?: Record<string, Field> | undefined
  items?: Field | undefined
  additionalProperties?: unknown
}

const fieldSchema: z.ZodType<Field> = z.lazy(() =>
  z.object({
    type: z.string().optional(),
    format: z.string().optional(),
    enum: z.array(z.string()).optional(),
    default: z.unknown().optional(),
    description: z.string().optional(),
    kubernetes: z.string().optional(),
    listMapKey: z.string().optional(),
    rules: z.array(ruleSchema).optional(),
    required: z.array(z.string()).optional(),
    properties: z.record(z.string(), fieldSchema).optional(),
    items: fieldSchema.optional(),
    additionalProperties: z.unknown().optional(),
  }),
)

const inCell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('<', '&lt;')
const code = (text: string): string => `\`${text}\``

const typeOf = (field: Field): string => {
  if (field.kubernetes !== undefined) return `as ${code(field.kubernetes)} of Kubernetes`
  if (field.enum) return field.enum.map(code).join(', ')
  if (field.type === 'array') return field.items?.properties ? 'list' : `list of ${typeOf(field.items ?? {})}`
  if (field.properties) return 'object'
  if (field.format === 'date-time') return 'time'
  return field.type === 'object' ? 'map' : (field.type ?? 'any')
}

const defaultOf = ({ default: value }: Field, isRequired: boolean): string => {
  if (isRequired) return 'required'
  const isPlain = (typeof value === 'string' && value !== '') || typeof value === 'number' || typeof value === 'boolean'
  return isPlain ? code(String(value)) : ''
}

interface Row {
  path: string
  field: Field
  isRequired: boolean
}

const wordsOf = (field: Field): string => {
  const key = field.listMapKey === undefined ? [] : [`One for each ${code(field.listMapKey)}.`]
  const rules = (field.rules ?? []).map(({ message }) => `*${message}.*`)
  return inCell([field.description ?? '', ...key, ...rules].join(' '))
}

const rowsBelow = (field: Field, path: string): Row[] =>
  Object.entries(field.properties ?? {}).flatMap(([name, child]) => {
    const childPath = `${path}.${name}`
    const isRequired = field.required?.includes(name) === true && child.default === undefined
    const row = { path: childPath, field: child, isRequired }
    if (child.kubernetes !== undefined) return [row]
    return [row, ...rowsBelow(child, childPath), ...rowsBelow(child.items ?? {}, `${childPath}[]`)]
  })

const rowsOf = (schema: z.ZodObject, path: string): Row[] => {
  const json = z.toJSONSchema(schema, { target: 'openapi-3.0', io: 'input', unrepresentable: 'any' })
  return rowsBelow(fieldSchema.parse(json), path)
}

const specTable = (schema: z.ZodObject): string => {
  const rows = rowsOf(schema, 'spec').map(
    ({ path, field, isRequired }) =>
      `| ${code(path)} | ${typeOf(field)} | ${defaultOf(field, isRequired)} | ${wordsOf(field)} |`,
  )
  return ['| Field | Type | Default | |', '|---|---|---|---|', ...rows].join('\n')
}

const statusTable = (schema: z.ZodObject): string => {
  const rows = rowsOf(schema, 'status').map(
    ({ path, field }) => `| ${code(path)} | ${typeOf(field)} | ${wordsOf(field)} |`,
  )
  return ['| Field | Type | |', '|---|---|---|', ...rows].join('\n')
}

const sectionOf = ({ kind, plural, shortName, description, rules, spec, status }: KindDefinition): string =>
  [
    `## ${kind}`,
    `${description} ${code(`${plural}.${group}`)}, short name ${code(shortName)}.`,
    `Of the whole object:\n\n${rules.map(({ message }) => `- ${message}`).join('\n')}`,
    `### spec of ${kind}`,
    specTable(spec),
    `### status of ${kind}`,
    statusTable(status),
  ].join('\n\n')

/** The page, from the schemas that the API server checks by. */
export const referencePage = (): string =>
  [
    '<!-- Generated from crds/*.ts by `npm run generate`; do not edit. -->',
    '# Reference',
    `The three kinds of ${code(`${group}/${version}`)}, all of a namespace. ${code('kubectl explain instance.spec')} has the same words. In italics: what the API server refuses otherwise. Status is written by Lamina alone.`,
    ...kinds.map(sectionOf),
    '',
  ].join('\n\n')

export const referenceFile = join(import.meta.dirname, '../docs/reference.md')

export const writeReference = (): void => writeFileSync(referenceFile, referencePage())
