import { mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { uptime } from 'node:os'
import { join } from 'node:path'
import { hasCode } from '../../mount/error-code.ts'
import { currentBootID } from '../../node/boot.ts'
import { type NodeLayout, podPaths } from '../../node/layout.ts'
import { recordedPods } from './records.ts'

const ifThere = <T>(act: () => T): T | undefined => {
  try {
    return act()
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
}

/** The kubelet may have started `prepare` already: what this boot's runtime has written stays. */
const removeIfOlder = (path: string, time: number): void => {
  const stats = statSync(path, { throwIfNoEntry: false })
  if (stats && stats.mtimeMs < time) rmSync(path, { force: true })
}

const forgetMounts = (layout: NodeLayout, podUID: string, bootTime: number): void => {
  const { ticket, refusal, mounts, releases, released, progress, volumes } = podPaths(layout, podUID)
  for (const path of [ticket, refusal, mounts, releases, released]) rmSync(path, { recursive: true, force: true })
  // The directory itself may be bound into a container of this boot.
  for (const name of ['result.json', 'log']) rmSync(join(progress, name), { force: true })
  removeIfOlder(volumes, bootTime)
}

/** Never what is in them: should a root be mounted there after all, it is a user's. */
const removeEmptyDirectories = (dir: string): void => {
  for (const name of ifThere(() => readdirSync(dir)) ?? []) {
    try {
      rmdirSync(join(dir, name))
    } catch (error) {
      if (!hasCode(error, 'ENOTEMPTY', 'EBUSY')) throw error
    }
  }
}

/**
 * State of an earlier boot counts for nothing: all mounts that it tells of are
 * gone, and its loop devices' numbers may be others' by now. Usually it goes with
 * the node's tmpfs; where that is none, this removes it. To be called before the
 * agent gives a ticket: until then the runtime mounts nothing.
 */
export const sweepOtherBoot = (
  layout: NodeLayout,
  { bootID = currentBootID(), bootTime = Date.now() - uptime() * 1000 } = {},
): void => {
  const stamp = join(layout.stateDir, 'boot')
  const known = ifThere(() => readFileSync(stamp, 'utf8'))
  if (known === bootID) return
  if (known !== undefined) {
    for (const podUID of recordedPods(layout)) forgetMounts(layout, podUID, bootTime)
    rmSync(join(layout.stateDir, 'containers'), { recursive: true, force: true })
    removeEmptyDirectories(join(layout.stateDir, 'roots'))
  }
  mkdirSync(layout.stateDir, { recursive: true })
  writeFileSync(stamp, bootID)
}
