import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Metafile } from 'esbuild'
import * as z from 'zod'

const manifestSchema = z.object({ name: z.string(), version: z.string(), license: z.string().default('see below') })

const licenceFile = /^(licen[cs]e|copying|notice)/i

/** Folders of the packages that went into a bundle, below the project. */
export const packagesOf = ({ inputs }: Pick<Metafile, 'inputs'>): string[] =>
  Object.keys(inputs).flatMap((path) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? [])

/** Name, version, licence and licence text of each package, as their licences ask for. */
export const thirdPartyNotes = async (root: string, packages: Iterable<string>): Promise<string> => {
  const notes = [...new Set(packages)].toSorted().map(async (path) => {
    const dir = join(root, path)
    const { name, version, license } = manifestSchema.parse(
      JSON.parse(await readFile(join(dir, 'package.json'), 'utf8')),
    )
    const files = (await readdir(dir)).filter((file) => licenceFile.test(file)).toSorted()
    const texts = await Promise.all(files.map((file) => readFile(join(dir, file), 'utf8')))
    return [`${name} ${version} (${license})`, ...texts.map((text) => text.trim())].join('\n\n')
  })
  return `${(await Promise.all(notes)).join(`\n\n${'-'.repeat(80)}\n\n`)}\n`
}
