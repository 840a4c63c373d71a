import { rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import * as z from 'zod/mini'
import { attachedFiles } from '../../mount/loop.ts'
import { readJson, writeJson } from '../../node/json-file.ts'
import { type NodeLayout, podPaths } from '../../node/layout.ts'
import { type Ticket, ticketSchema } from '../../node/ticket.ts'
import { recordedPods } from '../pods/records.ts'
import { cacheRoot, digestOfDirectory } from './entry.ts'

/** Who keeps an image in the cache: leave to mount it, or a mount; a prefetch while nobody else needs the room. */

const ticketOf = (path: string): Ticket | undefined => {
  // One of another version counts for nothing, here as with the runtime.
  const { success, data } = ticketSchema.safeParse(readJson(path, z.unknown()))
  return success ? data : undefined
}

/** Tickets of the node's pods. An ended pod has none any more. */
export const ticketsIn = (layout: NodeLayout): Ticket[] =>
  recordedPods(layout).flatMap((podUID) => ticketOf(podPaths(layout, podUID).ticket) ?? [])

const holdSchema = z.object({ digest: z.string() })

/** Beside the pod's other records, and swept with them when it is gone. */
const holdPath = (layout: NodeLayout, podUID: string): string => join(layout.stateDir, 'pods', podUID, 'prefetch.json')

/** A prefetch pod has brought this image, or is to. Its directory must be there. */
export const hold = (layout: NodeLayout, podUID: string, digest: string): void =>
  writeJson(holdPath(layout, podUID), { digest })

export const letGo = (layout: NodeLayout, podUID: string): void => rmSync(holdPath(layout, podUID), { force: true })

/** The image of a prefetch pod. */
export const heldBy = (layout: NodeLayout, podUID: string): string | undefined =>
  readJson(holdPath(layout, podUID), holdSchema)?.digest

const attachedDigests = (layout: NodeLayout): string[] =>
  attachedFiles().flatMap(({ path }) => {
    const dir = dirname(path)
    return dirname(dir) === cacheRoot(layout) ? (digestOfDirectory(dir) ?? []) : []
  })

export const digestsInUse = (layout: NodeLayout): Set<string> =>
  new Set([
    ...attachedDigests(layout),
    ...ticketsIn(layout).flatMap(({ image }) => (image.volume ? [] : [image.digest])),
  ])

export const digestsHeld = (layout: NodeLayout): Set<string> =>
  new Set(recordedPods(layout).flatMap((podUID) => heldBy(layout, podUID) ?? []))
