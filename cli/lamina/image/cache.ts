import { existsSync } from 'node:fs'
import { chmod, mkdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { resolveImage } from '../../../runtime-shim/image/skopeo.ts'
import type { Layout } from '../layout.ts'
import { inform } from '../say.ts'
import { interruptible } from './interrupted.ts'
import { explainFetch, makeOfRegistry, registryAccess } from './make.ts'

const fileOf = (cacheDir: string, digest: string): string => join(cacheDir, `${digest.replace(':', '-')}.sqfs`)

const pinned = (reference: string): string | undefined => /@(sha256:[a-f0-9]{64})$/.exec(reference)?.[1]

/**
 * The squashfs of an image in a registry: made at its first use, and kept by digest. A tag is looked up each time.
 *
 * @throws Refusal
 */
export const cachedImage = async (name: string, { cacheDir }: Layout): Promise<string> => {
  const known = pinned(name)
  if (known !== undefined && existsSync(fileOf(cacheDir, known))) return fileOf(cacheDir, known)
  await mkdir(cacheDir, { recursive: true, mode: 0o700 })
  try {
    return await interruptible(async (signal) => {
      const { reference, digest } = await resolveImage(name, undefined, registryAccess(cacheDir), signal)
      const file = fileOf(cacheDir, digest)
      if (existsSync(file)) return file
      inform(`making a squashfs of docker://${name}, once`)
      const target = `${file}.${process.pid}`
      await rm(target, { force: true })
      await makeOfRegistry(reference, { target, scratchDir: cacheDir, signal })
      await chmod(target, 0o644)
      await rename(target, file)
      return file
    })
  } catch (error) {
    throw explainFetch(`docker://${name}`, error)
  }
}
