import { Command, Option } from 'commander'
import { addHelpVerb } from '../../shared/help-command.ts'
import type { Verbs } from './verbs.ts'

export const addHelpVerbs = ({ root, context, behind = [], does, runs }: Verbs): void => {
  addHelpVerb(root, new Command('help').description('what a verb takes').helpGroup('Help:'))
  root
    .command('doctor')
    .description('what is wrong with an object, a node or the installation, and what to do next')
    .argument('[kind/name]', 'instance/NAME, overlay/NAME, image/NAME, node/NAME; all of it when left out')
    .addOption(new Option('-o, --output <format>', 'how to print it').choices(['json', 'yaml']))
    .action(
      does(async (what: string | undefined, options) => {
        const { doctor } = await import('../commands/doctor.ts')
        return doctor(context, what, options)
      }),
    )
  root
    .command('completion')
    .description('a script that completes words in your shell')
    .argument('<shell>', 'bash, zsh or fish')
    .action(
      does(async (shell: string) => {
        const { completion } = await import('../commands/completion.ts')
        return completion(context, shell)
      }),
    )
  root.command('__complete', { hidden: true }).action(
    runs(async () => {
      const { complete } = await import('../commands/completion.ts')
      return complete(context, root, behind)
    }),
  )
}
