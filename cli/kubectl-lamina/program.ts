import { Command, CommanderError, Option } from 'commander'
import { usageError } from '../shared/cli-error.ts'
import type { Connection } from './connection.ts'
import type { CommandContext } from './context.ts'
import {
  countFlag,
  durationFlag,
  envFlag,
  labelFlag,
  listFlag,
  objectName,
  overlayFlag,
  sizeFlag,
  workdirFlag,
} from './flags.ts'
import type { ClusterFlags } from './kubeconfig.ts'
import { version } from './version.ts'
import { splitAtDashes } from './words.ts'

/** The verbs. Each loads what it needs when it is called: `--help` is to be there at once. */

export type Connect = (flags: ClusterFlags) => Promise<Connection>

interface Program {
  root: Command
  /** Of the verb that was called. */
  exitCode(): number
}

const outputOption = () => new Option('-o, --output <format>', 'how to print it').choices(['wide', 'json', 'yaml'])

const withOverlays = (command: Command): Command =>
  command
    .option(
      '--overlay <name[:ro]>',
      'an overlay on top, made if it is missing; :ro reads it only (repeatable)',
      overlayFlag,
    )
    .option('--size <quantity>', 'size of an overlay that is made', sizeFlag, '1Gi')
    .option('-e, --env <name=value>', 'environment (repeatable)', envFlag)
    .option('-w, --workdir <path>', "working directory instead of the image's", workdirFlag)
    .addOption(new Option('--pwd <path>', 'the same').argParser(workdirFlag).hideHelp())
    .option(
      '--pull-secret <name>',
      'secret to read the registry with, for an image that is made (repeatable)',
      listFlag,
    )
    .option('--sha256 <hex>', 'what sha256sum says of an image from https://')

const withTerminal = (command: Command): Command =>
  command
    .option('-t, --tty', 'a terminal for the command (default: when this is one)')
    .option('--no-tty', 'no terminal')
    .addOption(new Option('-i, --stdin', 'standard input is always passed on').hideHelp())

const withThrowAway = (command: Command): Command =>
  withTerminal(withOverlays(command))
    .option(
      '--name <instance>',
      'name of the instance, which then stays; else it is thrown away at the end',
      objectName(),
    )
    .option('--rm', 'throw it away although it has a name')

const imageHelp = `
IMAGE is the name of an Instance or a ContainerImage, or a reference: debian:12, docker://ghcr.io/owner/name,
oras://registry/name:tag, https://host/file.sif (with --sha256). instance/NAME and image/NAME leave no doubt.`

/** @param command what stands behind `--` */
export const createProgram = (
  base: Omit<CommandContext, 'connect'>,
  connectTo: Connect,
  command: readonly string[] | undefined,
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

  /** Verbs that run nothing have nothing behind `--`. */
  const does =
    <Args extends unknown[]>(act: (...args: Args) => Promise<unknown>, { takesCommand = false } = {}) =>
    async (...args: Args): Promise<void> => {
      if (command !== undefined && !takesCommand)
        throw usageError(`nothing is run here: leave out "--" and what is behind it (${command.join(' ')})`)
      const result = await act(...args)
      if (typeof result === 'number') exit = result
    }
  const runs = <Args extends unknown[]>(act: (...args: Args) => Promise<unknown>) => does(act, { takesCommand: true })
  const commandOf = (words: readonly string[]): string[] => [...words, ...(command ?? [])]

  root.commandsGroup('Run:')
  withThrowAway(root.command('run'))
    .description("run a command, or the image's own, in an instance that is made and started as needed")
    .argument('<image>', 'image, or instance')
    .argument('[command...]', 'behind --')
    .addHelpText('after', imageHelp)
    .action(
      runs(async (image: string, words: string[], options) => {
        const { run } = await import('./commands/run.ts')
        return run(context, { target: image, command: commandOf(words), options })
      }),
    )
  withThrowAway(root.command('shell'))
    .description('a shell in an instance that is made and started as needed')
    .argument('<image>', 'image, or instance')
    .option('--shell <path>', 'which shell; bash, or sh, when left out')
    .addHelpText('after', imageHelp)
    .action(
      does(async (image: string, options) => {
        const { shell } = await import('./commands/run.ts')
        return shell(context, { target: image, options })
      }),
    )
  withTerminal(root.command('exec'))
    .description('run a command in an instance that runs')
    .argument('<instance>')
    .argument('[command...]', 'behind --')
    .option('-c, --container <name>', 'another container of its pod', 'main')
    .action(
      runs(async (instance: string, words: string[], options) => {
        const { exec } = await import('./commands/exec.ts')
        return exec(context, { name: instance, command: commandOf(words), options })
      }),
    )

  root.commandsGroup('Instances:')
  const lifecycle = () => import('./commands/lifecycle.ts')
  const start = (parent: Command): Command =>
    withOverlays(parent.command('start'))
      .description('start an instance: one that is there, or a new one on an image')
      .usage('[options] INSTANCE | IMAGE INSTANCE')
      .argument('<words...>', 'INSTANCE, or IMAGE and INSTANCE')
      .option('--no-wait', 'do not wait until it runs')
      .action(does(async (words: string[], options) => (await lifecycle()).start(context, words, options)))
  const stop = (parent: Command): Command =>
    parent
      .command('stop')
      .description('stop instances, and keep them and their overlays')
      .argument('[instance...]')
      .option('-a, --all', 'all of the namespace')
      .option('--no-wait', 'do not wait until they have stopped')
      .action(does(async (names: string[], options) => (await lifecycle()).stop(context, names, options)))
  const list = (parent: Command, name: string): Command =>
    parent
      .command(name)
      .description('list instances')
      .option('-A, --all-namespaces', 'of all namespaces')
      .option('-l, --selector <labels>', 'with these labels')
      .option('-w, --watch', 'go on, and tell what changes')
      .addOption(outputOption())
      .action(
        does(async (options) => {
          const { ps } = await import('./commands/ps.ts')
          return ps(context, options)
        }),
      )
  start(root)
  stop(root)
  list(root, 'ps')
  const logs = (parent: Command): Command =>
    parent
      .command('logs')
      .description('what the process of an instance has printed')
      .argument('<instance>')
      .option('-f, --follow', 'go on')
      .option('--tail <lines>', 'only the last ones', countFlag)
      .option('--since <duration>', 'only what is newer: 5m, 1h', durationFlag)
      .option('-p, --previous', 'of the container before its last restart')
      .option('--timestamps', 'with times')
      .option('-c, --container <name>', 'another container of its pod: prepare tells of image and overlays', 'main')
      .action(
        does(async (name: string, options) => {
          const verb = await import('./commands/logs.ts')
          return verb.logs(context, name, options)
        }),
      )
  const stats = (parent: Command): Command =>
    parent
      .command('stats')
      .description('what instances use: CPU, memory, overlays')
      .argument('[instance...]')
      .option('-w, --watch', 'look again every ten seconds')
      .addOption(outputOption())
      .action(
        does(async (names: string[], options) => {
          const verb = await import('./commands/stats.ts')
          return verb.stats(context, names, options)
        }),
      )
  logs(root)
  stats(root)
  const instance = root.command('instance').description("Singularity's words: start, list, stats, logs, stop")
  start(instance)
  stop(instance)
  list(instance, 'list')
  stats(instance)
  logs(instance)

  root.commandsGroup('Images and overlays:')
  const images = () => import('./commands/image.ts')
  const image = root.command('image').description('images: add, ls, prefetch')
  image
    .command('add')
    .description('make a ContainerImage, and wait until its digest is known')
    .argument('<reference>', 'debian:12, docker://…, oras://…, https://…')
    .option('--name <name>', 'its name; one is made from the reference when left out', objectName())
    .option('--pull-secret <name>', 'secret to read the registry with (repeatable)', listFlag)
    .option('--sha256 <hex>', 'what sha256sum says of the file (https://)')
    .option('--refresh <duration>', 'look its tag up again so often: 1h, 1d', durationFlag)
    .option('--prefetch', 'bring it to all nodes at once')
    .option('--no-wait', 'do not wait')
    .action(does(async (reference: string, options) => (await images()).add(context, reference, options)))
  image
    .command('ls')
    .description('list images')
    .option('-A, --all-namespaces', 'of all namespaces')
    .addOption(outputOption())
    .action(does(async (options) => (await images()).ls(context, options)))
  image
    .command('prefetch')
    .description('bring an image to nodes before it is asked for')
    .argument('<image>')
    .option('--nodes <label=value>', 'only nodes with this label (repeatable)', labelFlag)
    .option('--off', 'no more')
    .option('--no-wait', 'do not wait until they have it')
    .action(does(async (name: string, options) => (await images()).prefetch(context, name, options)))

  const overlays = () => import('./commands/overlay.ts')
  const overlay = root.command('overlay').description('overlays: create, ls, du, check, resize')
  overlay
    .command('create')
    .description('make an overlay')
    .argument('<name>', 'its name', objectName(54))
    .option('--size <quantity>', 'its size', sizeFlag, '1Gi')
    .option('--storage-class <name>', 'StorageClass of its volume')
    .addOption(
      new Option('--access-mode <mode>', 'of its volume').choices([
        'ReadWriteOnce',
        'ReadWriteOncePod',
        'ReadWriteMany',
      ]),
    )
    .option('--block', 'on a block volume')
    .addOption(new Option('--format <format>', 'an ext3 image, or directories').choices(['Image', 'Directory']))
    .option('--sparse', 'take blocks of the volume only as they are written')
    .addOption(new Option('--reclaim <policy>', 'what becomes of the data').choices(['Retain', 'Delete']))
    .action(does(async (name: string, options) => (await overlays()).create(context, name, options)))
  overlay
    .command('ls')
    .description('list overlays')
    .option('-A, --all-namespaces', 'of all namespaces')
    .addOption(outputOption())
    .action(does(async (options) => (await overlays()).ls(context, options)))
  overlay
    .command('du')
    .description('how full overlays are, as their nodes saw last')
    .argument('[overlay...]')
    .addOption(outputOption())
    .action(does(async (names: string[], options) => (await overlays()).du(context, names, options)))
  overlay
    .command('check')
    .description('whether an overlay is whole, and what gets it checked')
    .argument('<overlay>')
    .action(does(async (name: string) => (await overlays()).check(context, name)))
  overlay
    .command('resize')
    .description('make an overlay larger')
    .argument('<overlay>')
    .argument('<size>', 'its new size: 10Gi', sizeFlag)
    .action(does(async (name: string, size: string) => (await overlays()).resize(context, name, size)))

  root.commandsGroup('Help:')
  root.addHelpCommand(new Command('help').argument('[command]').description('what a verb takes').helpGroup('Help:'))
  root
    .command('doctor')
    .description('what is wrong with an object, a node or the installation, and what to do next')
    .argument('[kind/name]', 'instance/NAME, overlay/NAME, image/NAME, node/NAME; all of it when left out')
    .addOption(new Option('-o, --output <format>', 'how to print it').choices(['json', 'yaml']))
    .action(
      does(async (what: string | undefined, options) => {
        const { doctor } = await import('./commands/doctor.ts')
        return doctor(context, what, options)
      }),
    )
  root
    .command('completion')
    .description('a script that completes words in your shell')
    .argument('<shell>', 'bash, zsh or fish')
    .action(
      does(async (shell: string) => {
        const { completion } = await import('./commands/completion.ts')
        return completion(context, shell)
      }),
    )
  root.command('__complete', { hidden: true }).action(
    runs(async () => {
      const { complete } = await import('./commands/completion.ts')
      return complete(context, root, command ?? [])
    }),
  )

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
      const more = called.commands.map((each) => each.name()).join(', ')
      throw usageError(`${path} needs a word more: ${more}\nSee: ${path} --help`)
    }
    throw usageError(wordsOf(error, path))
  }
  return exitCode()
}
