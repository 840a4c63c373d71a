import { type Command, Option } from 'commander'
import { parseNewSize, parseSize } from '../arguments.ts'
import { newCommand, outputOption } from '../new-command.ts'
import type { Caller } from '../run/request.ts'
import { print } from '../say.ts'

interface CreateOptions {
  size: number
  sparse?: true
  createDir?: string[]
  fakeroot?: true
}

const createCommand = (name: string, defaultMebibytes: number): Command =>
  newCommand(name)
    .description(`make a writable ext3 image, ${defaultMebibytes} MiB unless --size says otherwise`)
    .argument('<file>')
    .addOption(
      new Option('-s, --size <MiB>', 'MiB, or with a unit: 768M, 10G')
        .argParser(parseSize)
        .default(defaultMebibytes * 2 ** 20, String(defaultMebibytes)),
    )
    .option('-S, --sparse', 'take disk space only as it is written')
    .option(
      '--create-dir <path>',
      'directory of the container that is to be there; repeatable',
      (path, before: string[] = []) => [...before, path],
    )
    .option('-f, --fakeroot', 'for containers with --fakeroot')
    .action(async (path: string, { size, sparse, createDir, fakeroot }: CreateOptions) => {
      const { createOverlay } = await import('./create.ts')
      const flags = { sparse: sparse === true, fakeroot: fakeroot === true }
      await createOverlay({ path, size, directories: createDir ?? [], ...flags })
    })

type List = (listing: { places: readonly string[]; json: boolean }, layout: Caller['layout']) => string

const listCommand = (name: string, description: string, load: () => Promise<List>, caller: () => Caller): Command =>
  newCommand(name)
    .description(description)
    .argument('[file...]', 'images, or directories with images; the working directory when left out')
    .option('-j, --json', 'as JSON')
    .addOption(outputOption())
    .action(async (files: string[], { json }: { json?: true }) => {
      const list = await load()
      const listing = { places: files.length > 0 ? files : ['.'], json: json === true }
      print(list(listing, caller().layout))
    })

const checkCommand = (caller: () => Caller): Command =>
  newCommand('check')
    .description('whether an overlay is whole')
    .argument('<file>')
    .option('-r, --repair', 'mend what is safe to mend')
    .action(async (file: string, { repair }: { repair?: true }) => {
      const { checkOverlay } = await import('./check.ts')
      await checkOverlay(file, { mends: repair === true }, caller().layout)
    })

const resizeCommand = (caller: () => Caller): Command =>
  newCommand('resize')
    .description('make an overlay larger')
    .argument('<file>')
    .argument('<size>', 'its new size: MiB, or with a unit: 768M, 10G', parseNewSize)
    .action(async (file: string, size: number) => {
      const { resizeOverlay } = await import('./resize.ts')
      await resizeOverlay(file, size, caller().layout)
    })

/** `overlay create|ls|du|check|resize`, and 2.4's `image.create`. */
export const addOverlayCommands = (program: Command, caller: () => Caller): void => {
  const list = () => import('./list.ts')
  program.addCommand(
    newCommand('overlay')
      .description('overlays')
      .addCommand(createCommand('create', 64))
      .addCommand(listCommand('ls', 'list overlays', async () => (await list()).listOverlays, caller))
      .addCommand(listCommand('du', 'how full overlays are', async () => (await list()).diskUsage, caller))
      .addCommand(checkCommand(caller))
      .addCommand(resizeCommand(caller)),
  )
  program.addCommand(createCommand('image.create', 768))
}
