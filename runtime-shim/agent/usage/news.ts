import type { PersistentOverlay, Usage } from '../../../crds/persistent-overlay.ts'
import { type Health, healthOfStatus } from '../pods/report.ts'
import { fillOf, levelOf } from './fullness.ts'

/** What an overlay's status says. */
export interface Told {
  usage: Usage | undefined
  /** See {@link levelOf}. */
  level: number
  health: Health | undefined
  /** In ms since 1970. */
  at: number
}

/** What the node sees of a running overlay. */
export interface News {
  usage: Usage
  level: number
  health: Health
}

/** Between two writes, unless an overlay has become fuller by a level or its health has changed. */
const shortestMs = 60_000
/** A small change is told so much later. */
const patienceMs = 600_000
/** Of the capacity. */
const largeChange = 0.05

export const toldBy = (overlay: PersistentOverlay, now: Date): Told => {
  const { usage } = overlay.status
  return {
    usage,
    level: usage ? levelOf(fillOf(usage), 0) : 0,
    health: healthOfStatus(overlay),
    // Another node may have told it, by a clock that is ahead.
    at: usage ? Math.min(Date.parse(usage.observedTime), now.getTime()) : 0,
  }
}

const hasMovedFar = (before: Usage, now: Usage): boolean => {
  const bytes = Math.abs(now.usedBytes - before.usedBytes) / now.capacityBytes
  const inodes = Math.abs(now.usedInodes - before.usedInodes) / now.capacityInodes
  return bytes >= largeChange || inodes >= largeChange || before.capacityBytes !== now.capacityBytes
}

/** One that is over shows in the capacity. */
const isNewlyBlocked = (before: Usage, { growthBlocked }: Usage): boolean =>
  growthBlocked !== undefined && growthBlocked.bytes !== before.growthBlocked?.bytes

const differ = (before: Usage, now: Usage): boolean =>
  before.usedBytes !== now.usedBytes || before.usedInodes !== now.usedInodes

/**
 * Whether the status is to be written: at once when the overlay has come to a
 * higher level, its health has changed or it cannot grow, within a minute when it has left a
 * level or changed by 5 %, within ten minutes when it has changed at all.
 */
export const isNews = (told: Told, { usage, level, health }: News, now: Date): boolean => {
  if (!told.usage || level > told.level || isNewlyBlocked(told.usage, usage)) return true
  if (health.status !== told.health?.status || health.reason !== told.health.reason) return true
  const waited = now.getTime() - told.at
  if (waited < shortestMs) return false
  if (level < told.level || hasMovedFar(told.usage, usage)) return true
  return waited >= patienceMs && differ(told.usage, usage)
}
