import { Command, CommanderError } from 'commander'
import { usageError } from '../shared/cli-error.ts'
import { shownVerbs } from '../shared/shown-verbs.ts'
import type { Connection } from './connection.ts'
import type { CommandContext } from './context.ts'
import { addForeignVerbs } from './habits.ts'
import type { ClusterFlags } from './kubeconfig.ts'
import { addHelpVerbs } from './program/help-verbs.ts'
import { addImageVerbs } from './program/image-verbs.ts'
import { addInstanceVerbs } from './program/instance-verbs.ts'
import { addOverlayVerbs } from './program/overlay-verbs.ts'
import { addRunVerbs } from './program/run-verbs.ts'
import { createVerbs } from './program/verbs.ts'
import { version } from './version.ts'
import { splitAtDashes } from './words.ts'

export type Connect = (flags: ClusterFlags) => Promise<Connection>

interface Program {
  root: Command
  /** Of the verb that was called. */
  exitCode(): number
}

/** @param behind what stands behind `--` */
export const createProgram = (
  base: Omit<CommandContext, 'connect'>,
  connectTo: Connect,
  behind: readonly string[] | undefined,
): Program => {
  let exit = 0
  const root = new Command('kubectl lamina')
    .description('Persistent overlays for containers, on a cluster')
    .version(version, '--version')
    .option('-n, --namespace <name>', "namespace; the context's when left out")
    .option('--context <name>', 'context of the kubeconfig')
    .option('--kubeconfig <file>', 'instead of KUBECONFIG and ~/.kube/config')
    .configureHelp({ showGlobalOptions: true, sortSubcommands: false })

  const context: CommandContext = { ...base, connect: () => connectTo(root.opts<ClusterFlags>()) }

  const verbs = createVerbs({ root, context, behind }, (code) => {
    exit = code
  })
  root.commandsGroup('Run:')
  addRunVerbs(verbs)
  root.commandsGroup('Instances:')
  addInstanceVerbs(verbs)
  root.commandsGroup('Images and overlays:')
  addImageVerbs(verbs)
  addOverlayVerbs(verbs)
  root.commandsGroup('Help:')
  addHelpVerbs(verbs)
  addForeignVerbs(root)

  return { root, exitCode: () => exit }
}

const eachOf = (command: Command): Command[] => [command, ...command.commands.flatMap(eachOf)]

/** Whose words would else be taken for ours. */
const runsCommands = /(run|exec)$/

/** commander says where help is to be had only if told so; and its `error: ` is main's to write. */
const wordsOf = (error: CommanderError, path: string): string => {
  const isForeign = error.code === 'commander.unknownOption' && runsCommands.test(path)
  const hint = isForeign ? ': what belongs to the command stands behind --' : ''
  return `${error.message.replace(/^error: /, '')}${hint}\nSee: ${path} --help`
}

const pathOf = (command: Command): string =>
  command.parent ? `${pathOf(command.parent)} ${command.name()}` : command.name()

/**
 * @param words without the program's own
 * @returns the exit code
 * @throws CliError
 */
export const runProgram = async (
  words: readonly string[],
  base: Omit<CommandContext, 'connect'>,
  connectTo: Connect,
): Promise<number> => {
  const { own, command } = splitAtDashes(words)
  const { root, exitCode } = createProgram(base, connectTo, command)
  let called = root
  for (const each of eachOf(root)) {
    each.exitOverride((error) => {
      called = each
      throw error
    })
    each.configureOutput({ writeOut: base.print, writeErr: () => {}, outputError: () => {} })
  }
  if (own.length === 0) {
    base.print(root.helpInformation())
    return 0
  }
  try {
    await root.parseAsync(own, { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.exitCode === 0) return 0
    const path = pathOf(called)
    if (error.code === 'commander.help') {
      const more = shownVerbs(called)
        .map((each) => each.name())
        .join(', ')
      throw usageError(`${path} needs a word more: ${more}\nSee: ${path} --help`)
    }
    throw usageError(wordsOf(error, path))
  }
  return exitCode()
}
