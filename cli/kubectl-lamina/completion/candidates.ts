import type { Command, Option } from 'commander'

/** What a word can be: words that are known, and names of things in the cluster. */
export interface Candidates {
  words: { word: string; description: string }[]
  names: readonly NameKind[]
}

export type NameKind = 'instances' | 'images' | 'overlays' | 'namespaces' | 'contexts' | 'subjects'

const none: Candidates = { words: [], names: [] }

/** What an argument, or the value of a flag, names. */
const namesByArgument: ReadonlyMap<string, readonly NameKind[]> = new Map(
  Object.entries({
    instance: ['instances'],
    words: ['instances', 'images'],
    overlay: ['overlays'],
    'kind/name': ['subjects'],
    '--overlay': ['overlays'],
    '--namespace': ['namespaces'],
    '--context': ['contexts'],
  } as const satisfies Record<string, readonly NameKind[]>),
)

const shells = ['bash', 'zsh', 'fish'] as const

const plain = (words: readonly string[]): Candidates => ({
  words: words.map((word) => ({ word, description: '' })),
  names: [],
})

const optionsOf = (command: Command): readonly Option[] => [
  ...command.options,
  ...(command.parent ? optionsOf(command.parent) : []),
]

const optionOf = (command: Command, word: string): Option | undefined =>
  optionsOf(command).find(({ short, long }) => word === short || word === long)

const takesValue = ({ required, optional }: Option): boolean => required || optional

const valuesOf = ({ argChoices, long }: Option): Candidates =>
  argChoices ? plain(argChoices) : { words: [], names: namesByArgument.get(long ?? '') ?? [] }

const flags = (command: Command): Candidates => ({
  words: optionsOf(command).flatMap(({ long, hidden, description }) =>
    long && !hidden ? [{ word: long, description }] : [],
  ),
  names: [],
})

const isHidden = (command: Command): boolean => command.name().startsWith('__')

const verbs = (command: Command): Candidates => ({
  words: command.commands
    .filter((each) => !isHidden(each))
    .map((each) => ({ word: each.name(), description: each.description() })),
  names: [],
})

/** Of the argument at that place; the last one, where it can be repeated. */
const argumentsOf = (command: Command, index: number): Candidates => {
  const { registeredArguments } = command
  const last = registeredArguments.at(-1)
  const argument = registeredArguments[index] ?? (last?.variadic ? last : undefined)
  if (!argument) return none
  if (argument.name() === 'shell') return plain(shells)
  // `image prefetch` takes an image, `run` one or an instance.
  if (argument.name() === 'image')
    return { words: [], names: command.name() === 'prefetch' ? ['images'] : ['images', 'instances'] }
  return { words: [], names: namesByArgument.get(argument.name()) ?? [] }
}

/** @param words up to the one that is being written, which may be empty */
export const candidatesFor = (root: Command, words: readonly string[]): Candidates => {
  // What runs in the instance is not ours to know.
  if (words.slice(0, -1).includes('--')) return none
  let command = root
  let places = 0
  let awaited: Option | undefined
  for (const word of words.slice(0, -1)) {
    if (awaited) {
      awaited = undefined
      continue
    }
    if (word.startsWith('-')) {
      const option = optionOf(command, word)
      awaited = option && takesValue(option) ? option : undefined
      continue
    }
    const verb = command.commands.find((each) => each.name() === word)
    if (verb) command = verb
    else places++
  }
  const current = words.at(-1) ?? ''
  if (awaited) return valuesOf(awaited)
  if (current.startsWith('-')) return flags(command)
  return command.commands.length > 0 ? verbs(command) : argumentsOf(command, places)
}
