/**
 * Makes `dist/`: the bundles of the operator's image and what lies beside them.
 *
 * usage: build.ts
 */
import { chmod, copyFile, mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { build as bundle } from 'esbuild'
import { bundleOptions, nativeKoffi } from '../runtime-shim/runtime/bundle-options.ts'
import { makeSkeleton } from '../runtime-shim/runtime/skeleton.ts'
import { packagesOf, thirdPartyNotes } from './third-party.ts'

const root = join(import.meta.dirname, '..')

/** Bundle by name, with its program. */
const programs = {
  'controller.cjs': 'controller/main.ts',
  'before-uninstall.cjs': 'controller/before-uninstall.ts',
  'agent.cjs': 'runtime-shim/agent/main.ts',
  'prepare.cjs': 'runtime-shim/agent/prepare/main.ts',
  'lamina-runtime.cjs': 'runtime-shim/runtime/main.ts',
} as const
type Bundle = keyof typeof programs

/**
 * Writes the bundles to `dir`, with koffi's native part, the runtime's launcher
 * and skeleton, and the licences of what was bundled.
 */
export const build = async (dir: string, bundles: readonly Bundle[]): Promise<void> => {
  await rm(dir, { recursive: true, force: true })
  await mkdir(dir, { recursive: true })
  const results = await Promise.all(
    bundles.map((name) =>
      bundle({ ...bundleOptions(join(root, programs[name]), join(dir, name)), absWorkingDir: root }),
    ),
  )
  const launcher = join(dir, 'lamina-runtime')
  await copyFile(join(root, 'runtime-shim/runtime/lamina-runtime.sh'), launcher)
  await chmod(launcher, 0o755)
  await copyFile(join(root, 'node_modules', nativeKoffi(process.arch)), join(dir, 'koffi.node'))
  makeSkeleton(join(dir, 'skeleton.squashfs'))
  const packages = results.flatMap(({ metafile }) => packagesOf(metafile))
  await writeFile(
    join(dir, 'THIRD-PARTY-LICENSES.txt'),
    await thirdPartyNotes(root, [...packages, 'node_modules/koffi']),
  )
}

const main = async (): Promise<void> => {
  const dir = join(root, 'dist')
  await build(dir, ['controller.cjs', 'before-uninstall.cjs', 'agent.cjs', 'prepare.cjs', 'lamina-runtime.cjs'])
  process.stdout.write(`built ${dir}\n`)
}

if (import.meta.main) await main()
