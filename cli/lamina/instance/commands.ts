import { constants } from 'node:os'
import type { Command } from 'commander'
import { Refusal } from '../../shared/refusal.ts'
import { parseCount, parseSignal, parseTimeout } from '../arguments.ts'
import { newCommand, outputOption } from '../new-command.ts'
import { addRunOptions, type RunOptions, requestOf } from '../run/options.ts'
import type { Caller } from '../run/request.ts'
import { print } from '../say.ts'
import type { Stop } from './stop.ts'

/** `instance start|list|stats|logs|stop`, with the words of 2.4 (`instance.start`) and of the other command line (`start`). */

const start = (name: string, caller: () => Caller): Command =>
  addRunOptions(newCommand(name))
    .description('start an instance: a container in the background')
    .argument('<image>')
    .argument('<name>')
    .argument('[arguments...]', 'for its startscript')
    .passThroughOptions()
    .action(async (image: string, instance: string, args: string[], options: RunOptions) => {
      const { startInstance } = await import('./start.ts')
      const request = requestOf(image, { kind: 'start', args }, options)
      await startInstance(instance, { ...request, ownProcesses: true }, caller())
    })

const list = (name: string, caller: () => Caller): Command =>
  newCommand(name)
    .description('list the instances that run')
    .option('-j, --json', 'as JSON')
    .addOption(outputOption())
    .action(async ({ json }: { json?: true }) => {
      const { listInstances } = await import('./list.ts')
      print(listInstances({ json: json === true }, caller()))
    })

const stats = (name: string, caller: () => Caller): Command =>
  newCommand(name)
    .description('what an instance uses, or all')
    .argument('[name]')
    .option('-j, --json', 'as JSON')
    .addOption(outputOption())
    .action(async (instance: string | undefined, { json }: { json?: true }) => {
      const { instanceStats } = await import('./list.ts')
      print(instanceStats(instance, { json: json === true }, caller()))
    })

const logs = (name: string, caller: () => Caller): Command =>
  newCommand(name)
    .description('what the process of an instance has printed; of one that has ended, too')
    .argument('<name>')
    .option('-f, --follow', 'go on until it ends')
    .option('--tail <lines>', 'only the last ones', parseCount)
    .action(async (instance: string, { follow, tail }: { follow?: true; tail?: number }) => {
      const { instanceLogs } = await import('./logs.ts')
      await instanceLogs(instance, { follows: follow === true, lines: tail }, caller().layout)
    })

interface StopOptions {
  all?: true
  force?: true
  signal: number
  timeout: number
}

const stopOf = ({ force, signal, timeout }: StopOptions): Stop =>
  force ? { signal: constants.signals.SIGKILL, timeoutSeconds: timeout } : { signal, timeoutSeconds: timeout }

const stop = (name: string, caller: () => Caller): Command =>
  newCommand(name)
    .description('stop an instance')
    .argument('[name...]')
    .option('-a, --all', 'all of them')
    .option('-F, --force', 'kill it at once')
    .option('-s, --signal <signal>', 'ask by this signal', parseSignal, constants.signals.SIGTERM)
    .option('-t, --timeout <seconds>', 'kill it after so long', parseTimeout, 10)
    .action(async (names: string[], options: StopOptions) => {
      const { stopInstances } = await import('./stop.ts')
      if (names.length > 0 && options.all) throw new Refusal('give names or --all, not both')
      if (names.length === 0 && !options.all) throw new Refusal('which instance? Give its name, or --all')
      await stopInstances(options.all ? 'all' : names, stopOf(options), caller())
    })

/** Each with its names: below `instance`, as in 2.4, and by itself, as the other command line has it. */
const commands = [
  { make: start, name: 'start', alone: 'start' },
  { make: list, name: 'list', alone: 'ps' },
  { make: stats, name: 'stats', alone: 'stats' },
  { make: logs, name: 'logs', alone: 'logs' },
  { make: stop, name: 'stop', alone: 'stop' },
] as const

export const addInstanceCommands = (program: Command, caller: () => Caller): void => {
  const instance = newCommand('instance').description('containers in the background')
  program.addCommand(instance)
  for (const { make, name, alone } of commands) {
    instance.addCommand(make(name, caller))
    program.addCommand(make(alone, caller))
    program.addCommand(make(`instance.${name}`, caller), { hidden: true })
  }
}
