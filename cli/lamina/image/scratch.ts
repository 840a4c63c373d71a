import { mkdirSync } from 'node:fs'
import { Refusal } from '../../shared/refusal.ts'
import { isFirm, isOwn } from '../firm.ts'
import type { Caller } from '../run/request.ts'

type Who = Pick<Caller, 'isUser' | 'layout'>

/**
 * The directory of images that were made of others. What root takes from there he mounts, and runs: so nobody else
 * may have put it there.
 *
 * @throws Refusal
 */
export const cacheOf = ({ isUser, layout: { cacheDir } }: Who): string => {
  mkdirSync(cacheDir, { recursive: true, mode: 0o700 })
  if (isUser || isOwn(cacheDir, 0)) return cacheDir
  throw new Refusal(
    `others than root can write to ${cacheDir}, or to what it lies in, and root uses no image from there: set LAMINA_CACHEDIR to a directory of root's own`,
  )
}

/** Where layers lie while an image is made of them: beside it, but for root only where nobody else can put links into their place. */
export const scratchFor = (directory: string, who: Who): string =>
  who.isUser || isFirm(directory, 0) ? directory : cacheOf(who)
