import { withTerminal, withThrowAway } from './options.ts'
import type { Verbs } from './verbs.ts'

const imageHelp = `
IMAGE is the name of an Instance or a ContainerImage, or a reference: debian:12, docker://ghcr.io/owner/name,
oras://registry/name:tag, https://host/file.sif (with --sha256). instance/NAME and image/NAME leave no doubt.`

export const addRunVerbs = ({ root, context, behind = [], does, runs }: Verbs): void => {
  withThrowAway(root.command('run'))
    .description("run a command, or the image's own, in an instance that is made and started as needed")
    .argument('<image>', 'image, or instance')
    .argument('[command...]', 'behind --')
    .addHelpText('after', imageHelp)
    .action(
      runs(async (image: string, words: string[], options) => {
        const { run } = await import('../commands/run.ts')
        return run(context, { target: image, command: [...words, ...behind], options })
      }),
    )
  withThrowAway(root.command('shell'))
    .description('a shell in an instance that is made and started as needed')
    .argument('<image>', 'image, or instance')
    .option('--shell <path>', 'which shell; bash, or sh, when left out')
    .addHelpText('after', imageHelp)
    .action(
      does(async (image: string, options) => {
        const { shell } = await import('../commands/run.ts')
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
        const { exec } = await import('../commands/exec.ts')
        return exec(context, { name: instance, command: [...words, ...behind], options })
      }),
    )
}
