import { type Command, Option } from 'commander'
import { envFlag, listFlag, objectName, overlayFlag, sizeFlag, workdirFlag } from '../flags.ts'
import { addForeignOptions } from '../habits.ts'

/** Flags that several verbs have. */

export const outputOption = () =>
  new Option('-o, --output <format>', 'how to print it').choices(['wide', 'json', 'yaml'])

export const withOverlays = (command: Command): Command =>
  command
    .option(
      '--overlay <name[:ro]>',
      'an overlay on top, made if it is missing; :ro reads it only (repeatable)',
      overlayFlag,
    )
    .option('--size <quantity>', 'size of an overlay that is made (default: 1Gi)', sizeFlag)
    .option('-e, --env <name=value>', 'environment, no secrets: others may read it (repeatable)', envFlag)
    .option('-w, --workdir <path>', "working directory instead of the image's", workdirFlag)
    .addOption(new Option('--pwd <path>', 'the same').argParser(workdirFlag).hideHelp())
    .option(
      '--pull-secret <name>',
      'secret to read the registry with, for an image that is made (repeatable)',
      listFlag,
    )
    .option('--sha256 <hex>', 'what sha256sum says of an image from https://')

export const withTerminal = (command: Command): Command =>
  command
    .option('-t, --tty', 'a terminal for the command (default: when this is one)')
    .option('--no-tty', 'no terminal')
    .addOption(new Option('-i, --stdin', 'standard input is always passed on').hideHelp())

export const withThrowAway = (command: Command): Command => {
  addForeignOptions(command)
  return withTerminal(withOverlays(command))
    .option(
      '--name <instance>',
      'name of the instance, which then stays; else it is thrown away at the end',
      objectName(),
    )
    .option('--rm', 'throw it away although it has a name; refused of one that is there already')
}
