import { closeSync, fstatSync, rmdirSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { isAttached } from '../mount/loop.ts'
import { openFileIn } from '../mount/open.ts'
import { readSuperblock } from '../mount/superblock.ts'
import { hasCode, triggerSocketCollection } from '../mount/syscalls.ts'
import { sleepSync } from '../mount/wait.ts'
import { type NodeLayout, rootPath } from '../node/layout.ts'
import { type MountRecord, mountRecordSchema, type ReleaseRecord } from '../node/ticket.ts'
import { containerPaths, readJson, writeJson } from './state.ts'

/** Under the ten seconds that containerd gives `delete`. */
const releaseWaitMs = 8_000

type MountedOverlay = MountRecord['overlays'][number]
type ReleasedOverlay = ReleaseRecord['overlays'][number]

/** Waits until the device is gone, which is when the kernel has flushed, unmounted and dropped the lock. */
const awaitDetach = ({ loop }: MountedOverlay, deadline: number): boolean => {
  while (isAttached(loop)) {
    if (performance.now() > deadline) return false
    triggerSocketCollection()
    sleepSync(2)
  }
  return true
}

const unreleased = (uid: string): ReleasedOverlay => ({
  uid,
  released: false,
  needsRecovery: false,
  errorCount: 0,
  blockSize: 0,
  blocks: 0,
  freeBlocks: 0,
  inodes: 0,
  freeInodes: 0,
})

/** The image's state after the mount is gone; the kubelet takes the volume away only after `delete`. */
const inspect = (overlay: MountedOverlay): ReleasedOverlay => {
  const { fd } = openFileIn(dirname(overlay.path), basename(overlay.path), 'read', overlay.path)
  try {
    const { dev, ino } = fstatSync(fd)
    if (dev !== overlay.dev || ino !== overlay.ino)
      throw new Error(`${overlay.path} is no longer the file that was mounted`)
    const { features: _, ...figures } = readSuperblock(fd)
    return { uid: overlay.uid, released: true, ...figures }
  } finally {
    closeSync(fd)
  }
}

/** The mount that this container had, or undefined when it had none. */
export const mountRecordOf = (layout: NodeLayout, id: string): MountRecord | undefined =>
  readJson(containerPaths(layout, id).mount, mountRecordSchema)

/** After runc's `delete`: proves the writable overlays free, and tells the agent in what state they are. */
export const release = (layout: NodeLayout, record: MountRecord, releasesDir: string, now: () => Date): void => {
  const { containerID } = record
  const deadline = performance.now() + releaseWaitMs
  const overlays = record.overlays
    .filter(({ access }) => access === 'ReadWrite')
    .map((overlay) => (awaitDetach(overlay, deadline) ? inspect(overlay) : unreleased(overlay.uid)))
  const released: ReleaseRecord = { containerID, releaseTime: now().toISOString(), overlays }
  writeJson(join(releasesDir, `${containerID}.json`), released)
  forget(layout, containerID)
  const held = overlays.filter((overlay) => !overlay.released).map(({ uid }) => uid)
  if (held.length > 0)
    throw new Error(
      `overlay ${held.join(', ')} is still mounted ${releaseWaitMs / 1000} s after the end of its container`,
    )
}

const forget = (layout: NodeLayout, containerID: string): void => {
  rmSync(containerPaths(layout, containerID).dir, { recursive: true, force: true })
  try {
    rmdirSync(rootPath(layout, containerID))
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error
  }
}
