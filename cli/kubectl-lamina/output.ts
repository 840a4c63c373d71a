import * as z from 'zod'

export type OutputFormat = 'wide' | 'json' | 'yaml' | undefined

const objectSchema = z.looseObject({ metadata: z.looseObject({}).optional() })

/** As kubectl shows it: without the book-keeping of fields. */
export const forPeople = (object: unknown): unknown => {
  const parsed = objectSchema.safeParse(object)
  if (!parsed.success || !parsed.data.metadata) return object
  const { managedFields: _, ...metadata } = parsed.data.metadata
  return { ...parsed.data, metadata }
}

/** A value as JSON or YAML, with a newline at the end. */
export const serialise = async (value: unknown, format: 'json' | 'yaml'): Promise<string> => {
  if (format === 'json') return `${JSON.stringify(value, null, 4)}\n`
  const { toYaml } = await import('./yaml.ts')
  return toYaml(value)
}

/** Objects as kubectl prints several: in a List. */
export const serialiseList = (items: readonly unknown[], format: 'json' | 'yaml'): Promise<string> =>
  serialise({ apiVersion: 'v1', kind: 'List', metadata: {}, items: items.map(forPeople) }, format)
