import { type Standing, standingOf } from '../../../kube/instance-standing.ts'
import { CliError, exitCodes, usageError } from '../../shared/cli-error.ts'
import type { CommandContext } from '../context.ts'
import { existingInstance } from '../run/find.ts'
import { runRemote } from '../session/remote.ts'
import { type TerminalOptions, wantsTerminal } from '../session/terminal.ts'

const notRunning = (name: string, standing: Exclude<Standing, { kind: 'running' }>): CliError => {
  const why = 'reason' in standing ? standing.reason : standing.message
  const isAtRest = standing.kind === 'atRest' || standing.kind === 'ended'
  const next = isAtRest ? `kubectl lamina start ${name}` : `kubectl lamina doctor instance/${name} says more`
  return new CliError(`instance ${name} does not run (${why}): ${next}`, { exitCode: exitCodes.notStarted })
}

export const exec = async (
  { connect, interrupts }: CommandContext,
  {
    name,
    command,
    options,
  }: { name: string; command: readonly string[]; options: TerminalOptions & { container: string } },
): Promise<number> => {
  if (command.length === 0)
    throw usageError(
      `give the command behind --: kubectl lamina exec ${name} -- ls; "kubectl lamina shell ${name}" is a shell`,
    )
  const tty = wantsTerminal(options)
  const connection = await connect()
  const standing = standingOf(await existingInstance(connection, name))
  if (standing.kind !== 'running' && options.container === 'main') throw notRunning(name, standing)
  return runRemote(connection, { pod: name, container: options.container, command, tty }, { interrupts })
}
