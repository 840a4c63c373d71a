import { closeSync, readdirSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { openFileIn } from '../../mount/open.ts'
import { figuresOf, readSuperblock } from '../../mount/superblock.ts'
import { hasCode } from '../../mount/syscalls.ts'
import { forgetContainer, isMounted } from '../../node/containers.ts'
import { readJson } from '../../node/json-file.ts'
import { type NodeLayout, podPaths } from '../../node/layout.ts'
import {
  type Figures,
  type MountRecord,
  mountRecordSchema,
  type RecordedOverlay,
  type ReleaseRecord,
  releaseRecordSchema,
} from '../../node/ticket.ts'

/** What the runtime has written about a pod's mounts and their ends. */
export interface PodRecords {
  mounts: MountRecord[]
  releases: ReleaseRecord[]
}

const jsonFilesIn = (dir: string): string[] => {
  try {
    return readdirSync(dir)
      .filter((name) => name.endsWith('.json'))
      .map((name) => join(dir, name))
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return []
    throw error
  }
}

export const readRecords = (layout: NodeLayout, podUID: string): PodRecords => {
  const paths = podPaths(layout, podUID)
  return {
    mounts: jsonFilesIn(paths.mounts).flatMap((file) => readJson(file, mountRecordSchema) ?? []),
    releases: jsonFilesIn(paths.releases).flatMap((file) => readJson(file, releaseRecordSchema) ?? []),
  }
}

/** Overlays of the pod that the kernel has still mounted. */
export const stillMounted = ({ mounts }: PodRecords): RecordedOverlay[] =>
  mounts.flatMap(({ overlays }) => overlays).filter(isMounted)

const readFigures = (path: string): Figures | undefined => {
  try {
    const { fd } = openFileIn(dirname(path), basename(path), 'read', path)
    try {
      return figuresOf(readSuperblock(fd))
    } finally {
      closeSync(fd)
    }
  } catch {
    // The kubelet may have taken the volume away already.
    return undefined
  }
}

/** The state in which the pod left an overlay that it wrote: as `delete` found it, else as the image says now. */
export const lastFigures = ({ mounts, releases }: PodRecords, overlayUID: string): Figures | undefined => {
  const told = releases
    .toSorted((a, b) => (a.releaseTime < b.releaseTime ? -1 : 1))
    .flatMap(({ overlays }) => overlays)
    .findLast(({ uid, figures }) => uid === overlayUID && figures !== null)
  if (told?.figures) return told.figures
  const written = mounts
    .flatMap(({ overlays }) => overlays)
    .find(({ uid, access }) => uid === overlayUID && access === 'ReadWrite')
  return written && readFigures(written.path)
}

/** Removes all that lies on the node about a pod that has nothing mounted. */
export const forgetPod = (layout: NodeLayout, podUID: string): void => {
  for (const { containerID } of readRecords(layout, podUID).mounts) forgetContainer(layout, containerID)
  rmSync(podPaths(layout, podUID).dir, { recursive: true, force: true })
}
