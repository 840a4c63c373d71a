import { writeFile } from 'node:fs/promises'
import { systemClock } from '../../../../kube/clock.ts'
import { wholeDisk } from '../../../image/space.ts'
import type { NodeLayout } from '../../../node/layout.ts'
import { type CacheParts, createImageCache, type ImageCache, type WantedImage } from '../images.ts'
import type { FetchImage } from '../make.ts'
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

/** Brings images whose bytes are their reference. */
export const instantly: FetchImage = async ({ target, reference }) => {
  await writeFile(target, reference)
  return { sizeBytes: reference.length, fetchedBytes: reference.length, user: '', fileDigest: undefined }
}

/** A cache from which nothing can be collected. */
export const makeCache = (layout: NodeLayout, fetch: FetchImage, more: Partial<CacheParts> = {}): ImageCache =>
  createImageCache({
    ...{ layout, fetch, clock: systemClock, observer: unobserved },
    collector: { makeRoom: () => 0, roomFor: () => wholeDisk },
    ...more,
  })
