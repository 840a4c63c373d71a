import { listAll } from '../../kube/client.ts'
import type { KubeObject, Resource } from '../../kube/resource.ts'
import { formatTable } from '../shared/table.ts'
import type { CommandContext } from './context.ts'
import { type OutputFormat, serialiseList } from './output.ts'

/** How objects of a kind are listed. */
export interface Columns<T> {
  header: readonly string[]
  wide: readonly string[]
  row(object: T): readonly string[]
  wideRow(object: T): readonly string[]
}

export interface ListOptions {
  allNamespaces?: boolean
  selector?: string
  output?: OutputFormat
}

export const byName = <T extends KubeObject>(objects: readonly T[]): T[] =>
  objects.toSorted(
    ({ metadata: a }, { metadata: b }) => a.namespace.localeCompare(b.namespace) || a.name.localeCompare(b.name),
  )

/** The cells of an object in a table. */
export const cellsOf = <T extends KubeObject>(
  { row, wideRow }: Columns<T>,
  object: T,
  { allNamespaces, output }: ListOptions,
): string[] => [
  ...(allNamespaces ? [object.metadata.namespace] : []),
  ...row(object),
  ...(output === 'wide' ? wideRow(object) : []),
]

export const headerOf = (
  { header, wide }: Pick<Columns<never>, 'header' | 'wide'>,
  { allNamespaces, output }: ListOptions,
): string[] => [...(allNamespaces ? ['NAMESPACE'] : []), ...header, ...(output === 'wide' ? wide : [])]

/** Prints all objects of a kind; on a terminal and elsewhere alike. */
export const printList = async <T extends KubeObject>(
  { connect, print, status }: CommandContext,
  resource: Resource<T>,
  columns: Columns<T>,
  options: ListOptions,
): Promise<void> => {
  const { client, namespace, readable } = await connect()
  const where = options.allNamespaces ? undefined : namespace
  const { items } = await listAll(client, resource, { namespace: where, labelSelector: options.selector })
  if (options.output === 'json' || options.output === 'yaml') return print(await serialiseList(items, options.output))
  if (items.length === 0) {
    return status.say(`No ${resource.plural} found${where === undefined ? '' : ` in namespace ${where}`}.`)
  }
  const objects = byName(readable(resource, items))
  print(
    formatTable(
      headerOf(columns, options),
      objects.map((object) => cellsOf(columns, object, options)),
    ),
  )
}
