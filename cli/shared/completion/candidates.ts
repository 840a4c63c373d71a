import type { Command, Option } from 'commander'
import { shownVerbs } from '../shown-verbs.ts'

/** What a word can be: words that are known, and names of things, of a kind that the command line knows. */
export interface Candidates<Kind> {
  words: { word: string; description: string }[]
  names: readonly Kind[]
}

/** What an argument of the command, or the value of a flag (`--namespace`), names. */
export type Vocabulary<Kind> = (place: string, command: Command) => readonly Kind[]

const shells = ['bash', 'zsh', 'fish'] as const

const plain = (words: readonly string[]): Candidates<never> => ({
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

const valuesOf = <Kind>(command: Command, { argChoices, long }: Option, names: Vocabulary<Kind>): Candidates<Kind> =>
  argChoices ? plain(argChoices) : { words: [], names: names(long ?? '', command) }

const flags = (command: Command): Candidates<never> => ({
  words: optionsOf(command).flatMap(({ long, hidden, description }) =>
    long && !hidden ? [{ word: long, description }] : [],
  ),
  names: [],
})

const verbs = (command: Command): Candidates<never> => ({
  words: shownVerbs(command).map((each) => ({ word: each.name(), description: each.description() })),
  names: [],
})

/** Of the argument at that place; the last one, where it can be repeated. */
const argumentsOf = <Kind>(command: Command, index: number, names: Vocabulary<Kind>): Candidates<Kind> => {
  const { registeredArguments } = command
  const last = registeredArguments.at(-1)
  const argument = registeredArguments[index] ?? (last?.variadic ? last : undefined)
  if (!argument) return { words: [], names: [] }
  return argument.name() === 'shell' ? plain(shells) : { words: [], names: names(argument.name(), command) }
}

/** `--overlay=de` names a flag, and begins its value: only that is completed, as cobra has it. */
export const splitAtEquals = (word: string): { flag: string | undefined; value: string } => {
  const [, flag, value = ''] = /^(--[^=]+)=(.*)$/s.exec(word) ?? []
  return flag === undefined ? { flag, value: word } : { flag, value }
}

/** @param words up to the one that is being written, which may be empty */
export const candidatesFor = <Kind>(
  root: Command,
  words: readonly string[],
  names: Vocabulary<Kind>,
): Candidates<Kind> => {
  // What runs in the instance is not ours to know.
  if (words.slice(0, -1).includes('--')) return { words: [], names: [] }
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
  if (awaited) return valuesOf(command, awaited, names)
  const { flag } = splitAtEquals(current)
  if (flag !== undefined) {
    const option = optionOf(command, flag)
    return option && takesValue(option) ? valuesOf(command, option, names) : { words: [], names: [] }
  }
  if (current.startsWith('-')) return flags(command)
  return command.commands.length > 0 ? verbs(command) : argumentsOf(command, places, names)
}
