import { anyShell } from '../../../kube/any-shell.ts'
import { containerImages } from '../../../kube/resources.ts'
import { CliError, usageError } from '../../shared/cli-error.ts'
import type { Connection } from '../connection.ts'
import type { CommandContext } from '../context.ts'
import type { OverlayFlag } from '../flags.ts'
import { type Brought, bring, type Wanted, withUndo } from '../run/bring.ts'
import { parseTarget } from '../run/target.ts'
import { runRemote } from '../session/remote.ts'
import { type TerminalOptions, wantsTerminal } from '../session/terminal.ts'

export interface InstanceOptions {
  overlay?: OverlayFlag[]
  /** Of an overlay that is made. */
  size?: string
  env?: { name: string; value: string }[]
  workdir?: string
  pwd?: string
  pullSecret?: string[]
  sha256?: string
}

interface RunOptions extends InstanceOptions, TerminalOptions {
  name?: string
  rm?: boolean
}

/** @param name of an instance that is made, and stays */
export const wantedOf = (
  target: string,
  options: InstanceOptions,
  {
    name,
    isThrowAway,
    mustBeNew = false,
    wait,
  }: Pick<Wanted, 'name' | 'isThrowAway' | 'wait'> & { mustBeNew?: boolean },
): Wanted => ({
  target: parseTarget(target, options.sha256),
  overlays: options.overlay ?? [],
  size: options.size ?? '1Gi',
  env: options.env ?? [],
  workingDir: options.workdir ?? options.pwd,
  pullSecrets: options.pullSecret ?? [],
  name,
  isThrowAway,
  mustBeNew,
  wait,
})

/** What the image itself runs. */
const imagesCommand = async ({ client, namespace }: Connection, name: string): Promise<string[]> => {
  const config = (await client.get(containerImages, { namespace, name }))?.status.resolved?.config
  const command = [...(config?.entrypoint ?? []), ...(config?.cmd ?? [])]
  if (command.length > 0) return command
  throw usageError(`image ${name} has no command of its own: give one behind --, or use "kubectl lamina shell"`)
}

const within = (
  context: CommandContext,
  target: string,
  options: RunOptions,
  commandFor: (connection: Connection, brought: Brought) => Promise<readonly string[]>,
): Promise<number> => {
  const tty = wantsTerminal(options)
  const isThrowAway = options.name === undefined || options.rm === true
  const wanted = wantedOf(target, options, {
    name: options.name,
    isThrowAway,
    mustBeNew: options.rm === true,
    wait: true,
  })
  return withUndo(context, async (undo) => {
    const connection = await context.connect()
    const brought = await bring(context, connection, wanted, undo)
    const command = await commandFor(connection, brought)
    // One that is made has both in its spec.
    const place = brought.isOld ? { env: wanted.env, workingDir: wanted.workingDir } : {}
    const remote = { pod: brought.name, container: 'main', command, tty, ...place }
    return runRemote(connection, remote, { interrupts: context.interrupts })
  })
}

export const run = (
  context: CommandContext,
  { target, command, options }: { target: string; command: readonly string[]; options: RunOptions },
): Promise<number> => {
  if (command[0] === '') throw new CliError('the command is empty', { exitCode: 2 })
  return within(context, target, options, async (connection, { image }) =>
    command.length > 0 ? command : imagesCommand(connection, image),
  )
}

export const shell = (
  context: CommandContext,
  { target, options }: { target: string; options: RunOptions & { shell?: string } },
): Promise<number> =>
  within(context, target, options, async () => (options.shell === undefined ? anyShell : [options.shell]))
