import type { Command } from 'commander'
import { countFlag, durationFlag } from '../flags.ts'
import { outputOption, withOverlays } from './options.ts'
import type { Verbs } from './verbs.ts'

export const addInstanceVerbs = ({ root, context, does }: Verbs): void => {
  const lifecycle = () => import('../commands/lifecycle.ts')
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
          const { ps } = await import('../commands/ps.ts')
          return ps(context, options)
        }),
      )
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
          const verb = await import('../commands/logs.ts')
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
          const verb = await import('../commands/stats.ts')
          return verb.stats(context, names, options)
        }),
      )
  for (const verb of [start, stop, logs, stats]) verb(root)
  list(root, 'ps')
  const instance = root.command('instance').description("Singularity's words: start, list, stats, logs, stop")
  for (const verb of [start, stop, logs, stats]) verb(instance)
  list(instance, 'list')
}
