import { parseReference } from '../../../runtime-shim/image/reference.ts'
import type { ImageSource } from './target.ts'

const longest = 63

/** What is left of a text in a name. */
const asLabel = (text: string): string =>
  text
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
    .slice(0, longest)
    .replace(/-+$/, '')

const lastOf = (path: string): string => path.split('/').at(-1) ?? ''

const ofRegistry = (image: string): string => {
  const reference = parseReference(image)
  if (!reference) return asLabel(image)
  const version = reference.digest?.replace(/^sha\d+:(.{12}).*$/, '$1') ?? reference.tag ?? ''
  return asLabel(`${lastOf(reference.repository)} ${version === 'latest' ? '' : version}`)
}

/** A name for the ContainerImage of a source: `debian-12` for `docker.io/library/debian:12`. */
export const imageNameOf = (source: ImageSource): string =>
  (source.kind === 'registry'
    ? ofRegistry(source.image)
    : asLabel(
        lastOf(source.url.replace(/[?#].*$/s, ''))
          .replace(/\.(sif|simg|sqfs|squashfs|img)$/, '')
          .replace(':latest', ''),
      )) || 'image'

/** @param random some letters and digits that no other has */
export const throwAwayName = (image: string, random: string): string =>
  `run-${image.slice(0, longest - 5 - random.length).replace(/-+$/, '')}-${random}`
