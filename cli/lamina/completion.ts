import type { Command } from 'commander'
import { candidatesFor, splitAtEquals, type Vocabulary } from '../shared/completion/candidates.ts'
import { scriptsFor } from '../shared/completion/scripts.ts'
import { Refusal } from '../shared/refusal.ts'
import { runningInstances } from './instance/record.ts'
import type { Layout } from './layout.ts'
import { print } from './say.ts'

const vocabulary: Vocabulary<'instances'> = (place, command) =>
  place === 'name' && command.name() !== 'start' ? ['instances'] : []

/** Prints what the last word can be, a candidate a line; nothing where that is a file. */
export const complete = (root: Command, words: readonly string[], layout: Layout): void => {
  const { value: current } = splitAtEquals(words.at(-1) ?? '')
  const { words: known, names } = candidatesFor(root, words, vocabulary)
  const instances = names.length > 0 ? runningInstances(layout).map(({ name }) => name) : []
  const lines = [...known.map(({ word, description }) => `${word}\t${description}`), ...instances]
  const found = lines.filter((line) => line.startsWith(current))
  print(found.map((line) => `${line}\n`).join(''))
}

const scripts = scriptsFor({ program: 'lamina', called: 'lamina', takesFiles: true })

/** @throws Refusal */
export const printCompletion = (shell: string): void => {
  const script = Object.hasOwn(scripts, shell) ? scripts[shell] : undefined
  if (script === undefined)
    throw new Refusal(`no completion for "${shell}": there are ${Object.keys(scripts).join(', ')}`)
  print(script)
}
