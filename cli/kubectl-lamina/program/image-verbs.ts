import { durationFlag, labelFlag, listFlag, objectName } from '../flags.ts'
import { outputOption } from './options.ts'
import type { Verbs } from './verbs.ts'

export const addImageVerbs = ({ root, context, does }: Verbs): void => {
  const images = () => import('../commands/image.ts')
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
    .alias('list')
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
}
