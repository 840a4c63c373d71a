import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { ConversionError, RegistryError } from '../../../runtime-shim/image/errors.ts'
import { flattenOnto } from '../../../runtime-shim/image/flatten.ts'
import { copyToDirectory, type RegistryAccess } from '../../../runtime-shim/image/skopeo.ts'
import { thirdDescriptor } from '../../../runtime-shim/image/unprivileged.ts'
import { runProgram } from '../../../runtime-shim/node/program.ts'
import { Refusal } from '../../shared/refusal.ts'
import { findOnHost } from '../process/host-program.ts'
import { runOn } from '../process/run-on.ts'
import { inform } from '../say.ts'
import { addConfigLayer } from './config-layer.ts'
import type { FileInMaking } from './new-file.ts'
import type { ImageSource } from './source.ts'
import { toolEnvironment } from './tool-environment.ts'

/** Where `docker login`, `podman login` and `skopeo login` leave credentials. */
const authFile = ({ REGISTRY_AUTH_FILE, XDG_RUNTIME_DIR, HOME = homedir() }: NodeJS.ProcessEnv): string | undefined =>
  [
    REGISTRY_AUTH_FILE,
    ...(XDG_RUNTIME_DIR === undefined ? [] : [join(XDG_RUNTIME_DIR, 'containers/auth.json')]),
    ...(process.getuid?.() === 0 ? ['/run/containers/0/auth.json'] : []),
    join(HOME, '.config/containers/auth.json'),
    join(HOME, '.docker/config.json'),
  ].find((path) => path !== undefined && existsSync(path))

export const registryAccess = (scratchDir: string): RegistryAccess => {
  const env = toolEnvironment(process.env)
  return { authFile: authFile(env), scratchDir, env }
}

const words = ({ message }: RegistryError): string => /\((.*)\)/s.exec(message)?.[1] ?? message

/** In the words of this command line: the library's are about objects in a cluster. */
export const explainFetch = (image: string, error: unknown): unknown => {
  if (error instanceof ConversionError) return new Refusal(`nothing can be made of ${image}: ${error.message}`)
  if (!(error instanceof RegistryError)) return error
  switch (error.kind) {
    case 'NotFound':
      return new Refusal(`${image} is not in the registry (${words(error)}): check its name and tag`)
    case 'Unauthorized':
      return new Refusal(
        `the registry wants other credentials for ${image}, or has no such image (${words(error)}): log in with docker login or skopeo login, and check the name`,
      )
    case 'Unreachable':
      return new Refusal(`the registry of ${image} cannot be reached (${words(error)}): try again later`)
    default:
      return new Refusal(`${image} cannot be had: ${error.message.replace(/: set spec\.platform.*$/s, '')}`)
  }
}

interface Making extends FileInMaking {
  /** Directory for the layers, while at it. */
  scratchDir: string
}

/** One squashfs of what `bring` puts into an image directory. */
const flatten = async (
  { fd, directory, scratchDir, signal }: Making,
  bring: (dir: string, scratch: string) => Promise<unknown>,
): Promise<void> => {
  const scratch = await mkdtemp(join(scratchDir, '.lamina-build-'))
  try {
    const dir = join(scratch, 'image')
    await bring(dir, scratch)
    addConfigLayer(dir)
    await flattenOnto({ fd, dir: directory }, dir, { signal, onProgress: inform })
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

/** @param reference `repository@sha256:…` */
export const makeOfRegistry = (reference: string, making: Making): Promise<void> =>
  flatten(making, (dir, scratch) =>
    copyToDirectory(reference, registryAccess(scratch), dir, { signal: making.signal, onProgress: inform }),
  )

type LocalSource = Extract<ImageSource, { kind: 'local' }>

const lastLine = (stderr: string): string => {
  const line = stderr.trim().split('\n').at(-1) ?? ''
  const message = /msg="((?:[^"\\]|\\.)*)"/.exec(line)?.[1] ?? line
  return message.replaceAll('\\"', '"')
}

/** Of an archive or a directory that skopeo reads. */
export const makeOfLocal = ({ transport, name }: LocalSource, making: Making): Promise<void> =>
  flatten(making, async (dir, scratch) => {
    const args = ['copy', '--quiet', '--remove-signatures', `${transport}:${name}`, `dir:${dir}`]
    const env = { ...toolEnvironment(process.env), TMPDIR: scratch }
    const { exitCode, stderr } = await runProgram(findOnHost('skopeo', 'skopeo'), args, { env, signal: making.signal })
    making.signal.throwIfAborted()
    if (exitCode !== 0)
      throw new Refusal(
        `could not read ${transport}:${name}: ${lastLine(stderr)}; check that it is a whole ${transport}`,
      )
  })

/** Of a sandbox: all that is in the directory, with owners and attributes. */
export const makeOfDirectory = async (sandbox: string, { fd, signal }: FileInMaking): Promise<void> => {
  const options = ['--keep-xattr', '--keep-time', '--compressor', 'zstd', '--comp-extra', 'level=3', '--quiet']
  const words = [findOnHost('gensquashfs', 'squashfs-tools-ng'), '--pack-dir', sandbox, ...options]
  const { exitCode, stderr } = await runOn(fd, [...words, '--force', thirdDescriptor], { env: process.env, signal })
  if (exitCode !== 0) throw new Refusal(`could not make an image of ${sandbox}: ${lastLine(stderr)}`)
}
