import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import { stringify } from 'yaml'
import { oldestNode, version } from '../version.ts'
import { filesOf } from './package.ts'

/** Name of the archive that Krew downloads. */
const archiveName = `kubectl-lamina-${version}.tar.gz`

/**
 * The package as an archive, the same bytes for the same files.
 *
 * @returns its path
 */
const archivePlugin = async (packageDir: string, toDir: string): Promise<string> => {
  const path = join(toDir, archiveName)
  const reproducible = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner']
  const files = await filesOf(packageDir)
  await execa('tar', [...reproducible, '--create', '--use-compress-program=gzip -n', `--file=${path}`, ...files], {
    cwd: packageDir,
  })
  return path
}

/**
 * The manifest by which Krew installs the plugin: https://krew.sigs.k8s.io/docs/developer-guide/plugin-manifest/
 *
 * @param releaseUrl https://… of the folder that will hold the archive
 */
const krewManifest = (releaseUrl: string, sha256: string): string =>
  stringify({
    apiVersion: 'krew.googlecontainertools.github.com/v1alpha2',
    kind: 'Plugin',
    metadata: { name: 'lamina' },
    spec: {
      version: `v${version}`,
      shortDescription: 'Persistent overlays for containers',
      description: [
        'Runs commands and shells in containers whose changes last: an immutable image,',
        'and an ext3 overlay on top that outlives every pod. The cluster needs the Lamina operator.',
        '',
      ].join('\n'),
      caveats: `It needs Node ${oldestNode} or newer on this machine.\n`,
      platforms: [
        {
          selector: { matchExpressions: [{ key: 'os', operator: 'In', values: ['linux', 'darwin'] }] },
          uri: `${releaseUrl.replace(/\/+$/, '')}/${archiveName}`,
          sha256,
          bin: 'kubectl-lamina.mjs',
          files: [{ from: '*', to: '.' }],
        },
      ],
    },
  })

/** Archive and manifest in `toDir`. @param releaseUrl see {@link krewManifest} */
export const packageForKrew = async (packageDir: string, toDir: string, releaseUrl: string): Promise<void> => {
  const archive = await archivePlugin(packageDir, toDir)
  const sha256 = createHash('sha256')
    .update(await readFile(archive))
    .digest('hex')
  await writeFile(join(toDir, 'lamina.krew.yaml'), krewManifest(releaseUrl, sha256))
}
