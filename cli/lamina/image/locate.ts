import { Refusal } from '../../shared/refusal.ts'
import type { Caller } from '../run/request.ts'
import { parseSource } from './source.ts'

/** The file or directory that an image argument stands for; one of a registry is made first, and kept. @throws Refusal */
export const locateImage = async (image: string, caller: Caller): Promise<string> => {
  const source = parseSource(image)
  if (source.kind === 'path') return source.path
  if (source.kind === 'local')
    throw new Refusal(`${image} is to be built first: lamina build image.sqfs ${image}, and then give image.sqfs`)
  if (source.kind === 'instance')
    throw new Refusal(`${image} is an instance: what runs in one has its own image and overlays`)
  const { cachedImage } = await import('./cache.ts')
  return cachedImage(source.reference, caller)
}
