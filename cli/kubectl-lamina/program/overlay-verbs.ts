import { Option } from 'commander'
import { objectName, sizeFlag } from '../flags.ts'
import { outputOption } from './options.ts'
import type { Verbs } from './verbs.ts'

export const addOverlayVerbs = ({ root, context, does }: Verbs): void => {
  const overlays = () => import('../commands/overlay.ts')
  const overlay = root.command('overlay').description('overlays: create, ls, du, check, resize')
  overlay
    .command('create')
    .description('make an overlay')
    .argument('<name>', 'its name', objectName(54))
    .option('--size <quantity>', 'its size', sizeFlag, '1Gi')
    .option('--storage-class <name>', 'StorageClass of its volume')
    .addOption(
      new Option('--access-mode <mode>', 'of its volume').choices([
        'ReadWriteOnce',
        'ReadWriteOncePod',
        'ReadWriteMany',
      ]),
    )
    .option('--block', 'on a block volume')
    .addOption(new Option('--format <format>', 'an ext3 image, or directories').choices(['Image', 'Directory']))
    .option('--sparse', 'take blocks of the volume only as they are written')
    .addOption(new Option('--reclaim <policy>', 'what becomes of the data').choices(['Retain', 'Delete']))
    .action(does(async (name: string, options) => (await overlays()).create(context, name, options)))
  overlay
    .command('ls')
    .alias('list')
    .description('list overlays')
    .option('-A, --all-namespaces', 'of all namespaces')
    .addOption(outputOption())
    .action(does(async (options) => (await overlays()).ls(context, options)))
  overlay
    .command('du')
    .description('how full overlays are, as their nodes saw last')
    .argument('[overlay...]')
    .addOption(outputOption())
    .action(does(async (names: string[], options) => (await overlays()).du(context, names, options)))
  overlay
    .command('check')
    .description('whether an overlay is whole, and what gets it checked')
    .argument('<overlay>')
    .action(does(async (name: string) => (await overlays()).check(context, name)))
  overlay
    .command('resize')
    .description('make an overlay larger')
    .argument('<overlay>')
    .argument('<size>', 'its new size: 10Gi', sizeFlag)
    .action(
      does(async (name: string, size: string) => {
        const { resize } = await import('../commands/overlay-resize.ts')
        return resize(context, name, size)
      }),
    )
}
