import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { resolveImage } from '../../../runtime-shim/image/skopeo.ts'
import type { Caller } from '../run/request.ts'
import { inform } from '../say.ts'
import { interruptible } from './interrupted.ts'
import { explainFetch, makeOfRegistry, registryAccess } from './make.ts'
import { makeFile } from './new-file.ts'
import { cacheOf } from './scratch.ts'

const fileOf = (cacheDir: string, digest: string): string => join(cacheDir, `${digest.replace(':', '-')}.sqfs`)

const pinned = (reference: string): string | undefined => /@(sha256:[a-f0-9]{64})$/.exec(reference)?.[1]

/**
 * The squashfs of an image in a registry: made at its first use, and kept by digest. A tag is looked up each time.
 *
 * @throws Refusal
 */
export const cachedImage = async (name: string, caller: Pick<Caller, 'isUser' | 'layout'>): Promise<string> => {
  const cacheDir = cacheOf(caller)
  const known = pinned(name)
  if (known !== undefined && existsSync(fileOf(cacheDir, known))) return fileOf(cacheDir, known)
  try {
    const { reference, digest } = await interruptible((signal) =>
      resolveImage(name, undefined, registryAccess(cacheDir), signal),
    )
    const file = fileOf(cacheDir, digest)
    if (existsSync(file)) return file
    inform(`making a squashfs of docker://${name}, once`)
    await makeFile(file, { mode: 0o644, replaces: true }, (making) =>
      makeOfRegistry(reference, { ...making, scratchDir: cacheDir }),
    )
    return file
  } catch (error) {
    throw explainFetch(`docker://${name}`, error)
  }
}
