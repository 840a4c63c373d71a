import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import { ConversionError } from '../../../runtime-shim/image/errors.ts'
import {
  type ImageConfiguration,
  imageConfigurationSchema,
  manifestSchema,
} from '../../../runtime-shim/image/manifest.ts'
import { encodeEntry } from '../../../runtime-shim/image/tar/encode.ts'
import type { EntryHeader } from '../../../runtime-shim/image/tar/entry.ts'
import { shellQuoted } from '../../shared/shell-quoted.ts'
import type { RunConfig } from '../command/choose.ts'
import { configPath } from './config-files.ts'

/**
 * A layer on top of an OCI image that says how it is run: for us, whatever the image
 * has, and as shell scripts, where Apptainer and Singularity look.
 */

const runConfigOf = ({ config }: ImageConfiguration): RunConfig => ({
  entrypoint: config?.Entrypoint ?? [],
  cmd: config?.Cmd ?? [],
  env: config?.Env ?? [],
})

const runscriptOf = ({ entrypoint, cmd }: RunConfig): string => {
  const [fixed, usual] = [entrypoint, cmd].map((words) => words.map(shellQuoted).join(' '))
  return [
    '#!/bin/sh',
    ...(cmd.length > 0 ? [`[ $# -gt 0 ] || set -- ${usual}`] : []),
    ...(entrypoint.length > 0 ? [`exec ${fixed} "$@"`] : ['[ $# -gt 0 ] || set -- /bin/sh', 'exec "$@"']),
    '',
  ].join('\n')
}

const environmentScriptOf = ({ env }: RunConfig): string =>
  env
    .flatMap((line) => {
      const [, name, value] = /^([A-Za-z_][A-Za-z0-9_]*)=(.*)$/s.exec(line) ?? []
      return name === undefined || value === undefined ? [] : [`export ${name}=${shellQuoted(value)}\n`]
    })
    .join('')

const files = (config: RunConfig): { path: string; mode: number; content: string }[] => [
  { path: configPath, mode: 0o644, content: `${JSON.stringify(config)}\n` },
  { path: '/.singularity.d/runscript', mode: 0o755, content: runscriptOf(config) },
  { path: '/.singularity.d/env/10-docker2singularity.sh', mode: 0o755, content: environmentScriptOf(config) },
]

const blockSize = 512

const header = (path: string, type: EntryHeader['type'], mode: number): EntryHeader => ({
  type,
  name: path.slice(1),
  link: '',
  major: 0,
  minor: 0,
  mode,
  uid: 0,
  gid: 0,
  mtime: 0,
  xattrs: new Map(),
})

const padded = (content: Buffer): Buffer => Buffer.concat([content], Math.ceil(content.length / blockSize) * blockSize)

/** As a tar archive. */
const configArchive = (config: RunConfig): Buffer => {
  const entries = files(config)
  const directories = [...new Set(entries.map(({ path }) => posix.dirname(path)))].toSorted()
  return Buffer.concat([
    ...directories.map((path) => encodeEntry(header(`${path}/`, 'directory', 0o755))),
    ...entries.flatMap(({ path, mode, content }) => {
      const body = Buffer.from(content)
      return [encodeEntry(header(path, 'file', mode), { bodySize: body.length }), padded(body)]
    }),
    Buffer.alloc(2 * blockSize),
  ])
}

const readJson = (path: string): unknown => JSON.parse(readFileSync(path, 'utf8'))

const blobOf = (dir: string, digest: string): string => join(dir, digest.slice(digest.indexOf(':') + 1))

/**
 * Adds the layer to an image directory (`dir:` of containers-transports(5)), whose
 * digests are then no longer those of its registry.
 *
 * @throws ConversionError
 */
export const addConfigLayer = (dir: string): void => {
  const manifest = manifestSchema.safeParse(readJson(join(dir, 'manifest.json')))
  if (!manifest.success) throw new ConversionError('its manifest is neither OCI nor Docker schema 2')
  const { config, layers, schemaVersion } = manifest.data
  const configuration = imageConfigurationSchema.safeParse(readJson(blobOf(dir, config.digest)))
  if (!configuration.success)
    throw new ConversionError('it is no container image: its configuration has no root file system')

  const archive = configArchive(runConfigOf(configuration.data))
  const digest = `sha256:${createHash('sha256').update(archive).digest('hex')}`
  writeFileSync(blobOf(dir, digest), archive)
  const diffs = [...(configuration.data.rootfs.diff_ids ?? []), digest]
  writeFileSync(blobOf(dir, config.digest), JSON.stringify({ ...configuration.data, rootfs: { diff_ids: diffs } }))
  const withLayer = { schemaVersion, config, layers: [...layers, { digest, size: archive.length }] }
  writeFileSync(join(dir, 'manifest.json'), JSON.stringify(withLayer))
}
