import { sweepNamedLocks } from '../../../runtime-shim/mount/named-lock.ts'
import type { Layout } from '../layout.ts'
import { forgetEnded } from './record.ts'

/** A mount that waits for one takes no longer, by far. */
const lockKeptMs = 10 * 60_000

/** Takes away what others have left: records of instances that have ended, and locks of files that were mounted once. */
export const tidy = (layout: Layout, now: Date): void => {
  forgetEnded(layout)
  if (process.getuid?.() === 0) sweepNamedLocks(layout.lockDir, new Date(now.getTime() - lockKeptMs))
}
