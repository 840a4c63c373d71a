import type { GrowthBlocked, PersistentOverlay } from '../../../crds/persistent-overlay.ts'
import { type Clock, pause } from '../../../kube/clock.ts'
import type { Logger } from '../../../kube/log.ts'
import { type Found, healthOf, type OverlayReporter, usageOf } from '../pods/report.ts'
import { fillOf, levelOf } from './fullness.ts'
import type { OverlayGauges } from './gauges.ts'
import type { OverlayGrower } from './growth.ts'
import { isNews, type News, type Told, toldBy } from './news.ts'
import type { Probed } from './probe.ts'
import type { RunningOverlay } from './running.ts'

export interface UsageParts {
  running(): RunningOverlay[]
  probe(overlay: RunningOverlay, blocks: number | undefined): Promise<Probed | undefined>
  readBlocks(overlay: RunningOverlay): Promise<number | undefined>
  /** The size that the controller says it is to grow to; undefined as long as it has said nothing. */
  askedSize(overlay: RunningOverlay): string | undefined
  report: OverlayReporter
  /** Has `tell` called with the key soon, and again after a failure. */
  enqueue(key: string): void
  /** The same for `grow`, which may never end: its volume may be dead. */
  enqueueGrowth(key: string): void
  gauges: OverlayGauges
  grower: OverlayGrower
  clock: Clock
  log: Logger
}

/** Watches over the writable overlays that are mounted on this node. */
export interface UsageWatch {
  /** Looks at each once; asks the kernel alone. @param running those that there are now */
  look(running: readonly RunningOverlay[]): Promise<void>
  /** Reads what the status of one says, and writes it anew where that is due. @throws when the API server does not answer */
  tell(key: string): Promise<void>
  /** Grows one to the size that its spec had when it was last read. @throws when that fails in a way that may pass */
  grow(key: string): Promise<void>
}

interface Watched {
  overlay: RunningOverlay
  /** Of the file system; read at first sight, and when it has grown or could not be read. */
  blocks: number | undefined
  /** How often it has grown: blocks that were read meanwhile are of no worth. */
  growths: number
  /** As the API server had it when it was last read. */
  asked: PersistentOverlay | undefined
  probed: Probed
  told: Told | undefined
  /** What keeps it from growing while it is mounted. */
  growthBlocked: GrowthBlocked | undefined
  /** It was not cleanly unmounted before this mount. */
  wasDirty: boolean
  /** Which of {@link UsageParts.askedSize} its spec was read after. */
  heeded: string | undefined
  /** Since when what is told is known, in ms since 1970. */
  readAt: number
  /** It is with the queue: that it was told to do so again would undo the pause after a failure. */
  isTelling: boolean
}

/** So often the spec is read of an overlay of which there is nothing to tell: a device may have grown, or the controller be down. */
const readEveryMs = 300_000

/**
 * statfs(2) may never come back: a process can change its root to a dead network
 * volume. Node has four threads for such calls; so many may be lost.
 */
const stuckAtMost = 2
const stuckAfterMs = 5_000

const subject = ({ namespace, name, instance }: RunningOverlay) => ({ namespace, name, instance })

const foundBy = ({
  probed: { figures, readOnly, ofVolume },
  growthBlocked,
}: Pick<Watched, 'probed' | 'growthBlocked'>): Found => ({
  figures,
  growthBlocked,
  ofVolume,
  used: true,
  mounted: { readOnly },
})

const newsOf = (watched: Pick<Watched, 'probed' | 'growthBlocked'>, told: Told | undefined, now: Date): News => {
  const usage = usageOf(watched.probed.figures, now, watched.growthBlocked)
  const level = levelOf(fillOf(usage), told?.level ?? 0)
  return { usage, level, health: healthOf(foundBy(watched), told?.health) }
}

export const createUsageWatch = (parts: UsageParts): UsageWatch => {
  const { clock, gauges } = parts
  const watched = new Map<string, Watched>()
  /** Looks that have not come back: the one that is waited for, and those that are not any more. */
  const stuck = new Set<string>()
  const unseen = new Map<string, RunningOverlay>()

  const forget = (key: string): void => {
    const overlay = watched.get(key)?.overlay ?? unseen.get(key)
    unseen.delete(key)
    watched.delete(key)
    if (!overlay) return
    gauges.forget(overlay)
    parts.grower.forget(key)
  }

  /** Said once, not every ten seconds. */
  const miss = (overlay: RunningOverlay, why: unknown): void => {
    if (unseen.has(overlay.key)) return
    unseen.set(overlay.key, overlay)
    gauges.miss(overlay)
    parts.log.warn({ err: why, kind: 'PersistentOverlay', ...subject(overlay) }, 'its usage cannot be seen')
  }

  const isDue = (known: Watched, now: Date): boolean => {
    const { told, readAt, heeded, overlay } = known
    if (heeded !== parts.askedSize(overlay)) return true
    return told === undefined || now.getTime() - readAt >= readEveryMs || isNews(told, newsOf(known, told, now), now)
  }

  const note = (overlay: RunningOverlay, probed: Probed, blocks: number | undefined): Watched => {
    const known = watched.get(overlay.key)
    if (known) return Object.assign(known, { overlay, probed })
    const untold = {
      told: undefined,
      growthBlocked: undefined,
      asked: undefined,
      wasDirty: false,
      heeded: undefined,
      readAt: 0,
      isTelling: false,
    }
    const fresh = { overlay, probed, blocks, growths: 0, ...untold }
    watched.set(overlay.key, fresh)
    return fresh
  }

  const blocksOf = async (overlay: RunningOverlay): Promise<number | undefined> => {
    const known = watched.get(overlay.key)
    if (known?.blocks !== undefined) return known.blocks
    const growths = known?.growths
    const blocks = await parts.readBlocks(overlay)
    if (known && known.growths === growths) known.blocks = blocks
    return blocks
  }

  const lookAt = async (overlay: RunningOverlay): Promise<void> => {
    const blocks = await blocksOf(overlay)
    const probed = await parts.probe(overlay, blocks)
    if (!probed) return forget(overlay.key)
    const known = note(overlay, probed, blocks)
    gauges.show(overlay, probed, known.wasDirty)
    if (known.isTelling || !isDue(known, clock.now())) return
    known.isTelling = true
    parts.enqueue(overlay.key)
  }

  /** Nothing of one overlay may hide the others. */
  const tryToLookAt = async (overlay: RunningOverlay): Promise<void> => {
    try {
      await lookAt(overlay)
      unseen.delete(overlay.key)
    } catch (error) {
      miss(overlay, error)
    }
  }

  /** Waits for it no longer than it may take; it stays counted as stuck until it ends. */
  const limited = async (overlay: RunningOverlay): Promise<void> => {
    const { key } = overlay
    const ended = new AbortController()
    stuck.add(key)
    const settled = tryToLookAt(overlay).finally(() => {
      stuck.delete(key)
      ended.abort()
    })
    await Promise.race([settled, pause(clock, stuckAfterMs, ended.signal)])
    if (stuck.has(key)) miss(overlay, new Error('the kernel does not answer: its volume may be dead'))
  }

  const look: UsageWatch['look'] = async (running) => {
    const keys = new Set(running.map(({ key }) => key))
    for (const key of [...watched.keys(), ...unseen.keys()]) if (!keys.has(key)) forget(key)
    for (const overlay of running) {
      if (stuck.has(overlay.key)) continue
      if (stuck.size < stuckAtMost) await limited(overlay)
      else miss(overlay, new Error(`the kernel does not answer for ${stuckAtMost} others, and no more are asked`))
    }
  }

  /** What the release of a pod tells of an overlay is the last word: none comes after it. */
  const isRunning = (key: string): boolean => parts.running().some((overlay) => overlay.key === key)

  const grow: UsageWatch['grow'] = async (key) => {
    const known = watched.get(key)
    if (!known?.asked || !isRunning(key)) return
    const growth = await parts.grower.grow(known.overlay, known.probed, known.asked)
    if (growth.kind === 'blocked') known.growthBlocked = growth.by
    if (growth.kind !== 'grown') return
    known.growthBlocked = undefined
    known.blocks = undefined
    known.growths++
  }

  const tell = async (key: string): Promise<void> => {
    const known = watched.get(key)
    if (!known) return
    const now = clock.now()
    let told = known.told
    const asked = parts.askedSize(known.overlay)
    const decide = (overlay: PersistentOverlay): Found | undefined => {
      if (!isRunning(key)) return undefined
      const said = toldBy(overlay, now)
      if (!known.told && said.health?.reason === 'JournalPending') known.wasDirty = true
      const before = { ...said, level: known.told?.level ?? said.level }
      const news = newsOf(known, before, now)
      const isDueNow = isNews(before, news, now)
      told = isDueNow ? { ...news, at: now.getTime() } : before
      return isDueNow ? { ...foundBy(known), level: before.level } : undefined
    }
    const overlay = await parts.report(known.overlay, decide)
    known.told = told
    known.asked = overlay
    if (overlay) parts.enqueueGrowth(key)
    known.readAt = now.getTime()
    known.heeded = asked
    known.isTelling = false
  }

  return { look, tell, grow }
}
