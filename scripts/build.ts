/**
 * Makes `dist/`: the bundles of the operator's image and what lies beside them;
 * and `dist-cli/`: the npm package of `kubectl lamina`.
 *
 * usage: build.ts [--arch x64 | arm64]    for nodes of that architecture; this machine's own without it
 *                 [--release-url URL]     archive and manifest for Krew, too; URL of the folder where the archive will lie
 */
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { appendFile, chmod, copyFile, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { build as bundle } from 'esbuild'
import { packageForKrew } from '../cli/kubectl-lamina/packaging/krew.ts'
import { packagePlugin } from '../cli/kubectl-lamina/packaging/package.ts'
import { markOf } from '../cli/lamina/build-mark.ts'
import { buildPage } from '../console/build.ts'
import { bundleOptions, nativeKoffi } from '../runtime-shim/runtime/bundle-options.ts'
import { makeSkeleton } from '../runtime-shim/runtime/skeleton.ts'
import { fetchForeignPackages } from './foreign-packages.ts'
import { replaceDirectory } from './replace.ts'
import { packagesOf, thirdPartyNotes } from './third-party.ts'

const root = join(import.meta.dirname, '..')

/** Bundle by name, with its program. */
const programs = {
  'controller.cjs': 'controller/main.ts',
  'before-uninstall.cjs': 'controller/before-uninstall.ts',
  'agent.cjs': 'runtime-shim/agent/main.ts',
  'prepare.cjs': 'runtime-shim/agent/prepare/main.ts',
  'image-fetcher.cjs': 'runtime-shim/agent/cache/fetcher/main.ts',
  'overlay-preparer.cjs': 'runtime-shim/agent/overlay/preparer/main.ts',
  'overlay-worker.cjs': 'runtime-shim/agent/overlay/worker/main.ts',
  'lamina-runtime.cjs': 'runtime-shim/runtime/main.ts',
  'lamina.cjs': 'cli/lamina/loader.ts',
  'lamina-program.cjs': 'cli/lamina/main.ts',
  'console.cjs': 'console/server/main.ts',
} as const
/** The same for the shell scripts that start them. */
const launchers = {
  'lamina-runtime': 'runtime-shim/runtime/lamina-runtime.sh',
  lamina: 'cli/lamina/lamina.sh',
}
type Bundle = keyof typeof programs

interface Target {
  /** Of the nodes, as `process.arch` has it. */
  arch?: string
  /** Where the packages lie that are native to it. */
  modules?: string
}

const markBuild = async (program: string): Promise<void> => {
  const digest = createHash('sha256')
    .update(await readFile(program))
    .digest('hex')
  await appendFile(program, markOf(digest))
}

const buildIn = async (
  dir: string,
  bundles: readonly Bundle[],
  { arch = process.arch, modules = join(root, 'node_modules') }: Target,
): Promise<void> => {
  const results = await Promise.all(
    bundles.map((name) =>
      bundle({ ...bundleOptions(join(root, programs[name]), join(dir, name)), absWorkingDir: root }),
    ),
  )
  if (bundles.includes('lamina-program.cjs')) await markBuild(join(dir, 'lamina-program.cjs'))
  for (const [name, source] of Object.entries(launchers)) {
    await copyFile(join(root, source), join(dir, name))
    await chmod(join(dir, name), 0o755)
  }
  await copyFile(join(modules, nativeKoffi(arch)), join(dir, 'koffi.node'))
  makeSkeleton(join(dir, 'skeleton.squashfs'))
  const page = bundles.includes('console.cjs') ? [await buildPage(join(dir, 'console'))] : []
  const packages = [...results.map(({ metafile }) => metafile), ...page].flatMap(packagesOf)
  await writeFile(
    join(dir, 'THIRD-PARTY-LICENSES.txt'),
    await thirdPartyNotes(root, [...packages, 'node_modules/koffi']),
  )
}

/**
 * Makes `dir` of the bundles, with koffi's native part, the launchers, the skeleton,
 * the page of the console, and the licences of what was bundled.
 */
export const build = (dir: string, bundles: readonly Bundle[], target: Target = {}): Promise<void> =>
  replaceDirectory(dir, (fresh) => buildIn(fresh, bundles, target))

const buildPlugin = async (releaseUrl: string | undefined): Promise<void> => {
  const dir = join(root, 'dist-cli')
  const packageDir = join(dir, 'kubectl-lamina')
  await replaceDirectory(packageDir, (fresh) => packagePlugin(root, fresh))
  if (releaseUrl !== undefined) await packageForKrew(packageDir, dir, releaseUrl)
  process.stdout.write(`built ${packageDir}: npm install --global ${packageDir}\n`)
}

const main = async (): Promise<void> => {
  const { values } = parseArgs({
    options: { arch: { type: 'string', default: process.arch }, 'release-url': { type: 'string' } },
  })
  const { arch } = values
  const dir = join(root, 'dist')
  const modules = join(root, 'node_modules')
  if (!existsSync(join(modules, nativeKoffi(arch))) || !existsSync(join(modules, `node-linux-${arch}`)))
    await fetchForeignPackages(root, arch, modules)
  const bundles = [
    ...(['controller.cjs', 'before-uninstall.cjs', 'console.cjs', 'agent.cjs', 'prepare.cjs'] as const),
    ...(['image-fetcher.cjs', 'overlay-preparer.cjs', 'overlay-worker.cjs', 'lamina-runtime.cjs'] as const),
    ...(['lamina.cjs', 'lamina-program.cjs'] as const),
  ]
  await build(dir, bundles, { arch })
  process.stdout.write(`built ${dir} for ${arch}: --build-arg NODE_PACKAGE=node-linux-${arch}\n`)
  await buildPlugin(values['release-url'])
}

if (import.meta.main) await main()
