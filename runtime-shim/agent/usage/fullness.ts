import type { Usage } from '../../../crds/persistent-overlay.ts'
import { mebibytes } from '../../../kube/quantity.ts'

type Amounts = Pick<Usage, 'usedBytes' | 'capacityBytes' | 'usedInodes' | 'capacityInodes'>

/** From these shares on it is told, the highest first. */
const levels = [
  { from: 0.95, reason: 'OverlayFull' },
  { from: 0.85, reason: 'OverlayNearlyFull' },
] as const

/** So far it must fall below a level to have left it: who writes and deletes around one is told of it once. */
const slack = 0.05

const share = (used: number, capacity: number): number => (capacity > 0 ? used / capacity : 0)

/** How full a file system is, 0 to 1: of its bytes and its inodes the larger share. */
export const fillOf = ({ usedBytes, capacityBytes, usedInodes, capacityInodes }: Amounts): number =>
  Math.max(share(usedBytes, capacityBytes), share(usedInodes, capacityInodes))

/**
 * The level that an overlay is at, by the share it begins at; 0 for none.
 *
 * @param before the level that it was at
 */
export const levelOf = (fill: number, before: number): number =>
  levels.find(({ from }) => fill >= from || (before >= from && fill >= from - slack))?.from ?? 0

/** The words are the same as long as the level is, so that the same Event counts up. */
export const fullnessEvent = (
  level: number,
  { instance, ...amounts }: Amounts & { instance: string },
): { reason: string; message: string } | undefined => {
  const { usedBytes, capacityBytes, usedInodes, capacityInodes } = amounts
  const reached = levels.find(({ from }) => from === level)
  if (!reached) return undefined
  const full = [
    { what: `bytes (${mebibytes(capacityBytes)})`, fill: share(usedBytes, capacityBytes) },
    { what: `inodes (${capacityInodes})`, fill: share(usedInodes, capacityInodes) },
  ].filter(({ fill }) => fill >= level - slack)
  const whole = full.map(({ what }) => what).join(' and ')
  const percent = Math.round(level * 100)
  return {
    reason: reached.reason,
    message: `instance "${instance}" uses more than ${percent} % of the ${whole} of this overlay: raise spec.size or remove files, before writes fail (ENOSPC)`,
  }
}
