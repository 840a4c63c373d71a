import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { writeJson } from '../../../node/json-file.ts'
import { defaultLayout, type NodeLayout, podPaths } from '../../../node/layout.ts'
import type { TicketInput } from '../../../node/ticket.ts'
import { type Entry, entryOf } from '../entry.ts'

/** A node's directories, in a directory of their own. */
export const makeLayout = (): NodeLayout => {
  const dir = mkdtempSync(join(tmpdir(), 'lamina-cache-'))
  const layout = { ...defaultLayout, cacheDir: join(dir, 'cache'), stateDir: join(dir, 'run') }
  for (const each of [layout.cacheDir, layout.stateDir]) mkdirSync(each)
  return layout
}

export const removeLayout = ({ cacheDir }: NodeLayout): void => rmSync(join(cacheDir, '..'), { recursive: true })

/** An image in the cache, last used so long ago. */
export const plant = (layout: NodeLayout, digest: string, content: Buffer, usedAgoMs = 0): Entry => {
  const entry = entryOf(layout, digest)
  mkdirSync(entry.dir, { recursive: true })
  writeFileSync(entry.file, content)
  const fileDigest = `sha256:${createHash('sha256').update(content).digest('hex')}`
  const meta = { reference: `registry.example/r@${digest}`, sizeBytes: content.length, user: '', fileDigest }
  writeFileSync(entry.meta, JSON.stringify(meta))
  const then = new Date(Date.now() - usedAgoMs)
  utimesSync(entry.meta, then, then)
  return entry
}

/** A ticket for the instance `team/dev` on an image of the cache, or on a volume. */
export const giveTicket = (
  layout: NodeLayout,
  podUID: string,
  digest: string,
  volume: { mountPath: string; path: string } | null = null,
): void => {
  const ticket: TicketInput = {
    version: 1,
    pod: { namespace: 'team', name: 'dev', uid: podUID },
    instance: { name: 'dev', uid: 'uid-dev' },
    bootID: 'boot',
    image: { reference: `r@${digest}`, digest, volume },
    overlays: [],
    ephemeral: { mountPath: '/.lamina/ephemeral' },
    ...{ user: '', podGroups: [], imageGroups: true, runAsNonRoot: false },
  }
  mkdirSync(podPaths(layout, podUID).dir, { recursive: true })
  writeJson(podPaths(layout, podUID).ticket, ticket)
}
