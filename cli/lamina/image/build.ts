import { lstatSync, realpathSync, statSync } from 'node:fs'
import { chmod, link, rename, rm } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { resolveImage } from '../../../runtime-shim/image/skopeo.ts'
import { hasCode } from '../../../runtime-shim/mount/error-code.ts'
import { Refusal } from '../../shared/refusal.ts'
import { realPathOf } from '../root/base.ts'
import { inform } from '../say.ts'
import { interruptible } from './interrupted.ts'
import { explainFetch, makeOfDirectory, makeOfLocal, makeOfRegistry, registryAccess } from './make.ts'
import { type ImageSource, parseSource } from './source.ts'

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

const make = async (source: ImageSource, target: string, signal: AbortSignal): Promise<void> => {
  const making = { target, scratchDir: dirname(target), signal }
  switch (source.kind) {
    case 'registry': {
      const { reference } = await resolveImage(source.reference, undefined, registryAccess(dirname(target)), signal)
      return makeOfRegistry(reference, making)
    }
    case 'local':
      return makeOfLocal(source, making)
    case 'path':
      return makeOfDirectory(sandboxFor(target, source.path), making)
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

/** Gives the finished file its name. */
const publish = async (staging: string, target: string, force: boolean): Promise<void> => {
  if (force) return rename(staging, target)
  try {
    await link(staging, target)
  } catch (error) {
    if (hasCode(error, 'EEXIST')) throw new Refusal(`build target ${target} already exists: another build has made it`)
    throw error
  }
  await rm(staging)
}

/** `build OUT SOURCE`: one squashfs, whole or not at all. @throws Refusal */
export const build = async (out: string, from: string, { force }: { force: boolean }): Promise<void> => {
  const source = parseSource(from)
  const target = resolve(out)
  assertPlace(target, force)
  const staging = join(dirname(target), `.lamina-${process.pid}.sqfs`)
  try {
    await interruptible((signal) => make(source, staging, signal))
    await chmod(staging, 0o644)
    await publish(staging, target, force)
  } catch (error) {
    await rm(staging, { force: true })
    throw explainFetch(from, error)
  }
  inform(`Build complete: ${out}`)
}
