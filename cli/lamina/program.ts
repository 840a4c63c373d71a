import type { Command } from 'commander'
import { addHelpVerb } from '../shared/help-command.ts'
import type { Action } from './command/choose.ts'
import { addForeignVerbs } from './habits.ts'
import { addInstanceCommands } from './instance/commands.ts'
import { newCommand } from './new-command.ts'
import { addOverlayCommands } from './overlay/commands.ts'
import { addRunOptions, type RunOptions, requestOf } from './run/options.ts'
import type { Caller } from './run/request.ts'

/** What the commands do is loaded when it is called for. */

type Container = Exclude<Action['kind'], 'start'>

const containerCommand = (kind: Container, description: string, args: string, caller: () => Caller): Command =>
  addRunOptions(newCommand(kind))
    .description(description)
    .argument('<image>', 'squashfs, SIF, .simg, directory, docker://IMAGE, instance://NAME')
    .argument(args)
    .passThroughOptions()
    .action(async (image: string, words: string[], options: RunOptions & { shell?: string }) => {
      const { run } = await import('./run/run.ts')
      await run(requestOf(image, { kind, args: words, shell: options.shell }, options), caller())
    })

const buildCommand = (caller: () => Caller): Command =>
  newCommand('build')
    .description('make a squashfs of an image in a registry, of an archive or of a directory')
    .argument('<out>', 'file to write: out.sqfs')
    .argument('<source>', 'docker://IMAGE, docker-archive:FILE, oci-archive:FILE, oci:DIRECTORY[:TAG], or a directory')
    .option('-F, --force', 'replace a file that is there')
    .action(async (out: string, source: string, { force }: { force?: true }) => {
      const { build } = await import('./image/build.ts')
      await build(out, source, { force: force === true, caller: caller() })
    })

/** What is said behind a mistake in the words. */
const pointToHelp = (command: Command, path: string): void => {
  command.showHelpAfterError(`See: ${path} --help`)
  for (const child of command.commands) pointToHelp(child, `${path} ${child.name()}`)
}

const addCompletion = (program: Command, caller: () => Caller): void => {
  const completion = newCommand('completion')
    .description('a script that completes words in your shell')
    .argument('<shell>', 'bash, zsh or fish')
    .action(async (shell: string) => {
      const { printCompletion } = await import('./completion.ts')
      printCompletion(shell)
    })
  const complete = newCommand('__complete')
    .argument('[words...]')
    .action(async (words: string[]) => {
      const { complete: print } = await import('./completion.ts')
      print(program, words, caller().layout)
    })
  program.addCommand(completion)
  program.addCommand(complete, { hidden: true })
}

/** @param caller whose it is; asked for when a command runs */
export const createProgram = (version: string, caller: () => Caller): Command => {
  const program = newCommand('lamina')
    .description('containers with persistent overlays, on this machine')
    .version(version)
  program.addCommand(containerCommand('run', "run the image's own program", '[arguments...]', caller))
  program.addCommand(containerCommand('exec', 'run a command in a container', '[command...]', caller))
  const shell = containerCommand('shell', 'run a shell in a container', '[arguments...]', caller)
  program.addCommand(shell.option('-s, --shell <path>', 'which shell'))
  addOverlayCommands(program, caller)
  program.addCommand(buildCommand(caller))
  addInstanceCommands(program, caller)
  addCompletion(program, caller)
  addHelpVerb(program, newCommand('help').description('what a command takes'))
  addForeignVerbs(program)
  pointToHelp(program, 'lamina')
  return program
}
