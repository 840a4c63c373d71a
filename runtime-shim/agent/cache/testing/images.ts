import { writeFile } from 'node:fs/promises'
import { systemClock } from '../../../../kube/clock.ts'
import { wholeDisk } from '../../../image/space.ts'
import { sha256 } from '../../../image/testing/image.ts'
import type { NodeLayout } from '../../../node/layout.ts'
import { type CacheParts, createImageCache, type ImageCache, type WantedImage } from '../images.ts'
import type { BroughtImage, FetchImage } from '../make.ts'
import { unobserved } from '../observer.ts'

export const forever = new AbortController().signal

export const digestOf = (letter: string) => `sha256:${letter.repeat(64)}`

/** The image of a registry, wanted by somebody without credentials. */
export const wanted = (letter = 'a', more: Partial<WantedImage> = {}): WantedImage => ({
  reference: `registry.example/debian@${digestOf(letter)}`,
  digest: digestOf(letter),
  withAuthFile: (act) => act(undefined),
  onProgress: () => {},
  ...more,
})

/** Brings these bytes as an image. */
export const bringBytes = async (target: string, content: string | Buffer): Promise<BroughtImage> => {
  const bytes = Buffer.from(content)
  await writeFile(target, bytes)
  return { sizeBytes: bytes.length, fetchedBytes: bytes.length, user: '', fileDigest: `sha256:${sha256(bytes)}` }
}

/** Brings images whose bytes are their reference. */
export const instantly: FetchImage = ({ target, reference }) => bringBytes(target, reference)

/** A cache from which nothing can be collected. */
export const makeCache = (layout: NodeLayout, fetch: FetchImage, more: Partial<CacheParts> = {}): ImageCache =>
  createImageCache({
    ...{ layout, fetch, clock: systemClock, observer: unobserved },
    collector: { makeRoom: () => 0, roomFor: () => wholeDisk },
    ...more,
  })
