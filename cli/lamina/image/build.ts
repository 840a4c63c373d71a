import { lstatSync, realpathSync, statSync } from 'node:fs'
import { basename, dirname, resolve } from 'node:path'
import { resolveImage } from '../../../runtime-shim/image/skopeo.ts'
import { hasCode } from '../../../runtime-shim/mount/error-code.ts'
import { Refusal } from '../../shared/refusal.ts'
import { realPathOf } from '../root/base.ts'
import type { Caller } from '../run/request.ts'
import { inform } from '../say.ts'
import { explainFetch, makeOfDirectory, makeOfLocal, makeOfRegistry, registryAccess } from './make.ts'
import { type FileInMaking, makeFile } from './new-file.ts'
import { scratchFor } from './scratch.ts'
import { type ImageSource, parseSource } from './source.ts'

interface Building {
  target: string
  caller: Caller
}

const isFile = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isFile() === true

/** A file of that name may be an archive or an image already. */
const sandboxOf = (path: string): string => {
  const real = realPathOf(path, 'the source')
  if (!isFile(real)) return real
  if (/\.(sif|simg|sqfs|squashfs)$/.test(path))
    throw new Refusal(`${path} is an image already: it can be used as it is`)
  if (/\.def$/.test(path) || basename(path) === 'Singularity')
    throw new Refusal(
      `${path}: definition files are not built here: build with apptainer or docker, and give docker://IMAGE`,
    )
  throw new Refusal(`${path} is a file: write docker-archive:${path} or oci-archive:${path}, or give a directory`)
}

const sandboxFor = (target: string, path: string): string => {
  const directory = sandboxOf(path)
  assertBeside(directory, target)
  return directory
}

const make = async (source: ImageSource, file: FileInMaking, { target, caller }: Building): Promise<void> => {
  if (source.kind === 'path') return makeOfDirectory(sandboxFor(target, source.path), file)
  const making = { ...file, scratchDir: scratchFor(file.directory, caller) }
  switch (source.kind) {
    case 'registry': {
      const access = registryAccess(making.scratchDir)
      const { reference } = await resolveImage(source.reference, undefined, access, making.signal)
      return makeOfRegistry(reference, making)
    }
    case 'local':
      return makeOfLocal(source, making)
    case 'instance':
      throw new Refusal(`an image cannot be built of a running instance`)
  }
}

/** What is being made would become part of itself. */
const assertBeside = (directory: string, target: string): void => {
  const place = realpathSync(dirname(target))
  if (place === directory || place.startsWith(`${directory}/`))
    throw new Refusal(
      `could not write ${target}: it lies in ${directory}, which it is to be made of: give another place`,
    )
}

const longestName = 255

const assertPlace = (target: string, force: boolean): void => {
  if (Buffer.byteLength(basename(target)) > longestName)
    throw new Refusal(`could not write ${target}: its name is too long: give a shorter one`)
  if (!statSync(dirname(target), { throwIfNoEntry: false })?.isDirectory())
    throw new Refusal(`could not write ${target}: there is no directory ${dirname(target)}: make that first`)
  const stats = statSync(target, { throwIfNoEntry: false })
  if (stats?.isDirectory()) throw new Refusal(`could not write ${target}: it is a directory: give the name of a file`)
  if (lstatSync(target, { throwIfNoEntry: false }) !== undefined && !force)
    throw new Refusal(`build target ${target} already exists: remove it, or use --force`)
}

const explain = (error: unknown, from: string, target: string): unknown => {
  if (hasCode(error, 'EEXIST')) return new Refusal(`build target ${target} already exists: another build has made it`)
  if (hasCode(error, 'EACCES', 'EPERM')) return new Refusal(`could not write ${target}: permission denied`)
  if (hasCode(error, 'EROFS')) return new Refusal(`could not write ${target}: its file system is read-only`)
  return explainFetch(from, error)
}

/** `build OUT SOURCE`: one squashfs, whole or not at all. @throws Refusal */
export const build = async (
  out: string,
  from: string,
  { force, caller }: { force: boolean; caller: Caller },
): Promise<void> => {
  const source = parseSource(from)
  const target = resolve(out)
  assertPlace(target, force)
  try {
    await makeFile(target, { mode: 0o644, replaces: force }, (file) => make(source, file, { target, caller }))
  } catch (error) {
    throw explain(error, from, target)
  }
  inform(`Build complete: ${out}`)
}
