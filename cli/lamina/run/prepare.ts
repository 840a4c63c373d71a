import { basename } from 'node:path'
import { Refusal } from '../../shared/refusal.ts'
import { commandOf } from '../command/choose.ts'
import { environmentOf } from '../command/environment.ts'
import { findProgram, isDirectoryIn, lookAround } from '../command/facts.ts'
import type { Caller, RunRequest } from './request.ts'

/** A process that is to be, in a root. */
export interface Command {
  /** Path in the root. */
  program: string
  /** With its own name. */
  args: readonly string[]
  env: Readonly<Record<string, string>>
  directory: string
}

const directoryFor = (root: number, { workingDirectory }: Wanted, { cwd, home }: Caller): string => {
  if (workingDirectory === undefined) return [cwd, home].find((path) => isDirectoryIn(root, path)) ?? '/'
  if (workingDirectory.startsWith('/') && isDirectoryIn(root, workingDirectory)) return workingDirectory
  throw new Refusal(`--pwd ${workingDirectory}: there is no such directory in the container`)
}

type Wanted = Pick<RunRequest, 'image' | 'action' | 'cleanEnvironment' | 'variables' | 'workingDirectory'>

/**
 * What is to be run in the root that is open; undefined where that is nothing, for an instance alone.
 *
 * @throws Refusal
 */
export const commandIn = (root: number, wanted: Wanted, caller: Caller): Command | undefined => {
  const facts = lookAround(root)
  const env = environmentOf({
    host: caller.env,
    clean: wanted.cleanEnvironment,
    image: facts.config?.env ?? [],
    variables: wanted.variables,
    home: caller.home,
    container: wanted.image,
    name: basename(wanted.image),
  })
  const args = commandOf(wanted.action, facts)
  const [name] = args
  if (name === undefined) return undefined
  const program = findProgram(root, name, env.PATH ?? '')
  if (program === undefined) throw new Refusal(`"${name}": executable file not found in $PATH`)
  const directory = directoryFor(root, wanted, caller)
  return { program, args, env: { ...env, PWD: directory }, directory }
}
