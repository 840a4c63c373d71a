import type { KubeObject, Resource } from '../../kube/resource.ts'
import { createTable } from '../shared/table.ts'
import { type Change, createChanges } from './changes.ts'
import type { CommandContext } from './context.ts'
import { looks } from './follow.ts'
import { byName, type Columns, cellsOf, headerOf, type ListOptions } from './listing.ts'
import { forPeople, serialise } from './output.ts'

const stateColumn = 'STATE'

/** Prints all objects of a kind, and then a line for each that changes, as kubectl does; or events, as JSON or YAML. */
export const watchList = async <T extends KubeObject>(
  { connect, print, interrupts: { signal } }: CommandContext,
  resource: Resource<T>,
  columns: Columns<T>,
  options: ListOptions,
): Promise<never> => {
  const { client, namespace, readable } = await connect()
  const { output } = options
  const header = headerOf(columns, options)
  const table = createTable(header.length)

  const cells = (object: T, isDeleted: boolean): string[] =>
    cellsOf(columns, object, options).map((cell, column) =>
      isDeleted && header[column] === stateColumn ? 'Deleted' : cell,
    )
  const rows = (changes: readonly Change[], isDeleted: boolean): string[][] => {
    const which = changes.filter(({ type }) => (type === 'DELETED') === isDeleted)
    return byName(
      readable(
        resource,
        which.map(({ object }) => object),
      ),
    ).map((object) => cells(object, isDeleted))
  }

  const changesIn = createChanges()
  const which = { namespace: options.allNamespaces ? undefined : namespace, labelSelector: options.selector }
  let title = [header]
  for await (const look of looks(client, resource, which, { signal })) {
    const changes = changesIn(look)
    if (output === 'json' || output === 'yaml') {
      for (const { type, object } of changes)
        print(`${output === 'yaml' ? '---\n' : ''}${await serialise({ type, object: forPeople(object) }, output)}`)
      continue
    }
    print(table([...title, ...rows(changes, false), ...rows(changes, true)]))
    title = []
  }
  throw new Error('the watch has ended')
}
