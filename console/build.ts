import { copyFile, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { build, type Metafile } from 'esbuild'

const page = join(import.meta.dirname, 'page')

/** Writes the page's files to `dir`; returns what went into them. */
export const buildPage = async (dir: string): Promise<Metafile> => {
  await mkdir(dir, { recursive: true })
  for (const file of ['index.html', 'icon.svg']) await copyFile(join(page, file), join(dir, file))
  const { metafile } = await build({
    entryPoints: { page: join(page, 'main.tsx'), style: join(page, 'page.css') },
    outdir: dir,
    absWorkingDir: join(import.meta.dirname, '..'),
    tsconfig: join(page, 'tsconfig.json'),
    bundle: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2024',
    minify: true,
    legalComments: 'none',
    metafile: true,
    logLevel: 'warning',
  })
  return metafile
}
