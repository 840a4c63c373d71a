import { readFileSync } from 'node:fs'
import type { Command, Option } from 'commander'
import { Refusal } from '../../shared/refusal.ts'
import {
  assertOneWriter,
  type BindArgument,
  type OverlayArgument,
  parseBinds,
  parseNoMount,
  parseOverlay,
  parseVariable,
  parseVariables,
  type UsualMount,
} from '../arguments.ts'
import type { Action } from '../command/choose.ts'
import { addForeignOptions } from '../habits.ts'
import type { RunRequest } from './request.ts'

/** The options of all commands that make a container. */

export interface RunOptions {
  overlay?: OverlayArgument[]
  bind?: BindArgument[]
  env?: [string, string][]
  envFile?: [string, string][]
  noMount?: UsualMount[]
  home: boolean
  contain?: true
  containall?: true
  cleanenv?: true
  pid?: true
  fakeroot?: true
  pwd?: string
}

const collect =
  <T>(parse: (text: string) => T) =>
  (text: string, before: T[] = []): T[] => [...before, parse(text)]

const collectAll =
  <T>(parse: (text: string) => T[]) =>
  (text: string, before: T[] = []): T[] => [...before, ...parse(text)]

const readVariables = (file: string): [string, string][] => {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    throw new Refusal(`--env-file ${file} cannot be read: ${error instanceof Error ? error.message : error}`)
  }
  return parseVariables(text, file)
}

/** commander would take it for the opposite of an option "mount". */
const noMount = (command: Command): Option => {
  const option = command
    .createOption('--no-mount <names>', 'without some of dev, proc, sys, home, cwd, tmp, etc')
    .argParser(collectAll(parseNoMount))
  return Object.assign(option, { negate: false, attributeName: () => 'noMount' })
}

export const addRunOptions = (command: Command): Command => {
  command
    .option(
      '-o, --overlay <file[:ro]>',
      'lay an overlay over the image: ext3 image, squashfs, directory',
      collect(parseOverlay),
    )
    .option(
      '-B, --bind <src[:dest[:ro]]>',
      'show a file or directory of the host in the container',
      collectAll(parseBinds),
    )
    .option('--env <name=value>', 'set a variable', collect(parseVariable))
    .option('--env-file <file>', 'set the variables that a file lists', collectAll(readVariables))
    .option('-e, --cleanenv', 'without the variables of the host')
    .option('--pwd <directory>', 'start in this directory of the container')
    .option('--no-home', 'without the home directory of the host')
    .addOption(noMount(command))
    .option('-c, --contain', 'own /tmp, /dev and home directory, empty; nothing of the host but what --bind names')
    .option('-C, --containall', '--contain, --cleanenv and --pid')
    .option('-p, --pid', 'an own process namespace')
    .option('-f, --fakeroot', 'be root in the container, as an ordinary user')
  addForeignOptions(command)
  return command
}

/** @throws Refusal */
export const requestOf = (image: string, action: Action, options: RunOptions): RunRequest => {
  const { overlay = [], bind = [], env = [], envFile = [], noMount = [], home, pwd } = options
  const all = options.containall === true
  assertOneWriter(overlay)
  if (action.kind === 'exec' && action.args.length === 0)
    throw new Refusal('exec needs a command: lamina exec IMAGE COMMAND [ARGUMENT...]')
  return {
    image,
    overlays: overlay,
    action,
    binds: bind,
    workingDirectory: pwd,
    contain: all || options.contain === true,
    fakeroot: options.fakeroot === true,
    ownProcesses: all || options.pid === true,
    without: [...noMount, ...(home ? [] : (['home'] as const))],
    cleanEnvironment: all || options.cleanenv === true,
    variables: [...envFile, ...env],
  }
}
