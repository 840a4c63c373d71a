import type { Command } from 'commander'
import { containerImages, instances, persistentOverlays } from '../../../kube/resources.ts'
import { usageError } from '../../shared/cli-error.ts'
import { candidatesFor, splitAtEquals } from '../../shared/completion/candidates.ts'
import { scriptsFor } from '../../shared/completion/scripts.ts'
import { forKubectl } from '../completion/for-kubectl.ts'
import { type NameKind, vocabulary } from '../completion/vocabulary.ts'
import type { Connection } from '../connection.ts'
import type { CommandContext } from '../context.ts'
import { named, namespaces } from '../named.ts'

const subjectKinds = { instances: 'instance', images: 'image', overlays: 'overlay' } as const

const namesIn = async (all: Promise<readonly { metadata: { name: string } }[]>): Promise<string[]> =>
  (await all).map(({ metadata }) => metadata.name)

const namesOf = async (connection: Connection, kind: NameKind): Promise<string[]> => {
  const { client, config, namespace } = connection
  switch (kind) {
    case 'contexts':
      return config.getContexts().map(({ name }) => name)
    case 'namespaces':
      return namesIn(client.list(namespaces))
    case 'instances':
      return namesIn(client.list(named(instances), { namespace }))
    case 'images':
      return namesIn(client.list(named(containerImages), { namespace }))
    case 'overlays':
      return namesIn(client.list(named(persistentOverlays), { namespace }))
    case 'subjects': {
      const each = (['instances', 'images', 'overlays'] as const).map(async (plural) =>
        (await namesOf(connection, plural)).map((name) => `${subjectKinds[plural]}/${name}`),
      )
      return (await Promise.all(each)).flat()
    }
  }
}

/** Who waits for a completion waits no longer than this. */
const patienceMs = 2_000

/** Of a cluster that does not answer there are no names, and no words either: they would stand in the middle of a command line. */
const namesFrom = async (connect: CommandContext['connect'], asked: readonly NameKind[]): Promise<string[]> => {
  if (asked.length === 0) return []
  const late = new Promise<string[]>((resolve) => setTimeout(resolve, patienceMs, []).unref())
  const look = async (): Promise<string[]> => {
    const connection = await connect()
    return (await Promise.all(asked.map((kind) => namesOf(connection, kind)))).flat()
  }
  return Promise.race([look().catch(() => []), late])
}

/** What was written before says which cluster, and which namespace; the last flag of it may lack its value. */
const readFlags = (root: Command, words: readonly string[]): void => {
  try {
    root.parseOptions([...words])
  } catch {
    // What came before it is read.
  }
}

/** Of cobra's protocol, which kubectl speaks: do not offer files. */
const noFiles = ':4'

/**
 * Prints what the last word can be: a candidate a line, its description behind a
 * tab, and a directive at the end.
 *
 * @param words behind `kubectl lamina`
 */
export const complete = async (
  { connect, print }: CommandContext,
  root: Command,
  words: readonly string[],
): Promise<void> => {
  const { value: current } = splitAtEquals(words.at(-1) ?? '')
  const { words: known, names } = candidatesFor(root, words, vocabulary)
  readFlags(root, words.slice(0, -1))
  const found = await namesFrom(connect, names)
  const lines = [
    ...known.map(({ word, description }) => (description === '' ? word : `${word}\t${description}`)),
    ...[...new Set(found)].toSorted(),
  ].filter((line) => line.startsWith(current))
  print([...lines, noFiles].map((line) => `${line}\n`).join(''))
}

const scripts = scriptsFor({ program: 'kubectl-lamina', called: 'kubectl lamina', takesFiles: false })

export const completion = async ({ print }: CommandContext, shell: string): Promise<void> => {
  const script = Object.hasOwn(scripts, shell) ? scripts[shell] : undefined
  if (script === undefined)
    throw usageError(`no completion for "${shell}": there are ${Object.keys(scripts).join(', ')}`)
  print(script + forKubectl)
}
