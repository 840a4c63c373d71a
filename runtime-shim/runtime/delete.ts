import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { hasCode } from '../mount/error-code.ts'
import { triggerSocketCollection } from '../mount/syscalls.ts'
import { sleepSync } from '../mount/wait.ts'
import { forgetContainer, isMounted } from '../node/containers.ts'
import { figuresIn } from '../node/figures.ts'
import { readJson, writeJson } from '../node/json-file.ts'
import { containerPaths, type NodeLayout, podPaths } from '../node/layout.ts'
import { type MountRecord, mountRecordSchema, type RecordedOverlay, type ReleaseRecord } from '../node/ticket.ts'

/** Under the ten seconds that containerd gives `delete`. */
const releaseWaitMs = 8_000

/** Waits until the device is gone, which is when the kernel has flushed, unmounted and dropped the lock. */
const awaitDetach = (overlay: RecordedOverlay, deadline: number): boolean => {
  while (isMounted(overlay)) {
    if (performance.now() > deadline) return false
    // A socket in flight or in a cycle may hold a descriptor of the mount.
    triggerSocketCollection()
    sleepSync(2)
  }
  return true
}

/** The mount that this container had, or undefined when it had none. */
export const mountRecordOf = (layout: NodeLayout, id: string): MountRecord | undefined =>
  readJson(containerPaths(layout, id).mount, mountRecordSchema)

/** Only the last end of the container counts: a pod that restarts for weeks keeps one record. */
const replaceReleases = (dir: string, record: ReleaseRecord): void => {
  const name = `${record.containerID}.json`
  writeJson(join(dir, name), record)
  for (const other of readdirSync(dir)) if (other !== name) rmSync(join(dir, other), { force: true })
}

/**
 * After runc's `delete`: waits until the writable overlays are unmounted, and
 * leaves word for the agent in what state they are.
 *
 * @returns what stands in the way of that, in words; the container is deleted all the same
 */
export const release = (
  layout: NodeLayout,
  { podUID, record }: { podUID: string; record: MountRecord },
  now: () => Date,
  waitMs = releaseWaitMs,
): string[] => {
  const { containerID } = record
  const paths = podPaths(layout, podUID)
  const deadline = performance.now() + waitMs
  const problems: string[] = []

  const overlays = record.overlays
    .filter(({ access }) => access === 'ReadWrite')
    .map((overlay) => {
      const { name, uid } = overlay
      if (!awaitDetach(overlay, deadline)) {
        problems.push(`overlay "${name}" is still mounted ${waitMs / 1000} s after the end of its container`)
        return { name, uid, released: false, figures: null }
      }
      try {
        return { name, uid, released: true, figures: figuresIn(overlay) }
      } catch (error) {
        // CRI-O deletes a container long after its end: the kubelet may have taken the volume away.
        if (!hasCode(error, 'ENOENT'))
          problems.push(`overlay "${name}" is unmounted, but cannot be read: ${String(error)}`)
        return { name, uid, released: true, figures: null }
      }
    })
  try {
    replaceReleases(paths.releases, { containerID, releaseTime: now().toISOString(), overlays })
  } catch (error) {
    // The agent has seen the mounts gone by itself, and has removed the pod's directory.
    if (!hasCode(error, 'ENOENT')) throw error
  }
  // The record goes last: the launcher knows by it that there is something left to do.
  forgetContainer(layout, containerID)
  if (!record.overlays.some(isMounted)) rmSync(join(paths.mounts, `${containerID}.json`), { force: true })
  return problems
}
