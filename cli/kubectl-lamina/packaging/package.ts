import { chmod, copyFile, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { build } from 'esbuild'
import { withoutUndici } from '../../../runtime-shim/runtime/bundle-options.ts'
import { packagesOf, thirdPartyNotes } from '../../../scripts/third-party.ts'
import { oldestNode, version } from '../version.ts'
import { littleOfClientNode } from './client-node.ts'

const main = 'kubectl-lamina.mjs'

/** The names under which it is called; kubectl asks the second one for completions. */
const programs = { 'kubectl-lamina': main, 'kubectl_complete-lamina': main } as const

const manifest = {
  name: 'kubectl-lamina',
  version,
  description: 'kubectl lamina: persistent overlays for containers, from the command line',
  license: 'Apache-2.0',
  type: 'module',
  engines: { node: `>=${oldestNode}` },
  bin: programs,
  files: ['*.mjs', 'THIRD-PARTY-LICENSES.txt'],
}

/** A page without its pictures and links to others, which are not in the package. */
const alone = (page: string): string =>
  page.replaceAll(/^!\[.*\]\((?!https?:).*\)\n\n?/gm, '').replaceAll(/\[([^\]]+)\]\((?!https?:|#)[^)]*\)/g, '$1')

/**
 * The shell's, which starts Node on the same file; for Node the second line is a text and a comment. Behind `--` Node takes no
 * word for its own: it would find `--env-file` anywhere. Not every env(1) could pass it on: busybox has no `-S`.
 */
const launchLines = `#!/bin/sh
':' //; exec node -- "$0" "$@"
`

/** ESM has no `require`, which CommonJS packages in the bundle call for Node's own modules. */
const requireBanner =
  "import { createRequire as lamina_createRequire } from 'node:module'; const require = lamina_createRequire(import.meta.url);"

/**
 * Makes the npm package `kubectl-lamina` in `dir`: the program in pieces, of which
 * `--help` loads only the first, and links by the names it is called by.
 */
export const packagePlugin = async (root: string, dir: string): Promise<void> => {
  await rm(dir, { recursive: true, force: true })
  await mkdir(dir, { recursive: true })
  const { metafile } = await build({
    entryPoints: { 'kubectl-lamina': join(root, 'cli/kubectl-lamina/main.ts') },
    outdir: dir,
    outExtension: { '.js': '.mjs' },
    absWorkingDir: root,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: `node${oldestNode}`,
    minifyWhitespace: true,
    legalComments: 'none',
    banner: { js: requireBanner },
    metafile: true,
    plugins: [withoutUndici, littleOfClientNode],
    logLevel: 'warning',
  })
  const program = join(dir, main)
  await writeFile(program, `${launchLines}${await readFile(program, 'utf8')}`)
  await chmod(program, 0o755)
  for (const [name, target] of Object.entries(programs)) await symlink(target, join(dir, name))
  await writeFile(join(dir, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`)
  await copyFile(join(root, 'LICENSE'), join(dir, 'LICENSE'))
  const page = await readFile(join(root, 'docs/kubectl-lamina.md'), 'utf8')
  await writeFile(join(dir, 'README.md'), alone(page))
  await writeFile(join(dir, 'THIRD-PARTY-LICENSES.txt'), await thirdPartyNotes(root, packagesOf(metafile)))
}

/** The files of the package, without the links: those are the installer's to make. */
export const filesOf = async (dir: string): Promise<string[]> =>
  (await readdir(dir, { withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map(({ name }) => name)
    .toSorted()
