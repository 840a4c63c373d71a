import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { hasCode } from '../../mount/error-code.ts'
import { attachedFiles } from '../../mount/loop.ts'
import type { DeviceNumbers } from '../../mount/parts.ts'
import type { BlockVolume } from '../../node/block-device.ts'
import { forgetContainer, podOf } from '../../node/containers.ts'
import { readJson } from '../../node/json-file.ts'
import { type NodeLayout, podPaths } from '../../node/layout.ts'
import { namesIn } from '../../node/names-in.ts'
import {
  type Figures,
  type MountRecord,
  mountRecordSchema,
  type RecordedOverlay,
  type ReleaseRecord,
  releaseRecordSchema,
} from '../../node/ticket.ts'
import type { FiguresReader } from './left-figures.ts'
import { type Attached, type HeldMount, heldMounts } from './mounted.ts'

const jsonFilesIn = (dir: string): string[] =>
  namesIn(dir)
    .filter((name) => name.endsWith('.json'))
    .map((name) => join(dir, name))

/** Pods of which something lies on the node. */
export const recordedPods = ({ stateDir }: Pick<NodeLayout, 'stateDir'>): string[] => namesIn(join(stateDir, 'pods'))

/** What the pod's containers have mounted, as far as their ends have not been told. */
export const mountsOf = (layout: NodeLayout, podUID: string): MountRecord[] =>
  jsonFilesIn(podPaths(layout, podUID).mounts).flatMap((file) => readJson(file, mountRecordSchema) ?? [])

const releasesOf = (layout: NodeLayout, podUID: string): ReleaseRecord[] =>
  jsonFilesIn(podPaths(layout, podUID).releases).flatMap((file) => readJson(file, releaseRecordSchema) ?? [])

/** When the pod was proved to have nothing mounted, in ms since 1970; undefined before that. */
export const releasedSince = (layout: NodeLayout, podUID: string): number | undefined => {
  try {
    return statSync(podPaths(layout, podUID).released).mtimeMs
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
}

/** Makes the pod's mount records void: nobody counts on them from here on. */
export const markReleased = (layout: NodeLayout, podUID: string): void => {
  const { dir, released } = podPaths(layout, podUID)
  if (existsSync(dir)) writeFileSync(released, '')
}

const isReadOnly = (loop: number): boolean => {
  try {
    return readFileSync(`/sys/block/loop${loop}/ro`, 'utf8').trim() === '1'
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false
    throw error
  }
}

const observeLoops = (): Attached[] => attachedFiles().map((file) => ({ ...file, readOnly: isReadOnly(file.number) }))

/** Block volumes that the pod has on record. */
export const blockVolumesOf = (layout: NodeLayout, podUID: string): BlockVolume[] =>
  mountsOf(layout, podUID)
    .flatMap(({ overlays }) => overlays)
    .flatMap(({ path, device }) => (device ? [{ path, device }] : []))

/**
 * What of the pod the kernel has still mounted, as far as sysfs and the records of all pods tell.
 *
 * @param mountedDevices those of its block volumes that were mounted when they were asked, after the last leave to mount
 */
export const observeMounts = (
  layout: NodeLayout,
  podUID: string,
  mountedDevices: readonly DeviceNumbers[],
): HeldMount[] => {
  const others = recordedPods(layout).filter((other) => other !== podUID && releasedSince(layout, other) === undefined)
  return heldMounts(layout, podUID, {
    attached: observeLoops(),
    mountedDevices,
    own: mountsOf(layout, podUID),
    others: others.flatMap((other) => mountsOf(layout, other)),
  })
}

/** How a pod left an overlay that it wrote. */
export interface LeftOverlay {
  name: string
  uid: string
  figures: Figures
}

const writtenOf = (layout: NodeLayout, podUID: string): RecordedOverlay[] =>
  mountsOf(layout, podUID)
    .flatMap(({ overlays }) => overlays)
    .filter(({ access }) => access === 'ReadWrite')

/** Whether the runtime's `delete` has not come yet, which tells the state of what was written; it may also have been killed. */
export const awaitsDelete = (layout: NodeLayout, podUID: string): boolean => writtenOf(layout, podUID).length > 0

/** What the pod wrote: as `delete` found it, else as the image itself says, else nothing. */
export const leftOverlays = async (
  layout: NodeLayout,
  podUID: string,
  readFigures: FiguresReader,
): Promise<LeftOverlay[]> => {
  const told = releasesOf(layout, podUID)
    .toSorted((a, b) => (a.releaseTime < b.releaseTime ? -1 : 1))
    .flatMap(({ overlays }) => overlays)
  const untold = await Promise.all(
    writtenOf(layout, podUID).map(async (overlay) => ({ ...overlay, figures: await readFigures(overlay) })),
  )
  const left = [...told, ...untold].flatMap(({ name, uid, figures }) => (figures ? [{ name, uid, figures }] : []))
  return [...new Map(left.map((overlay) => [overlay.uid, overlay])).values()]
}

/** Removes all that lies on the node about a pod. */
export const forgetPod = (layout: NodeLayout, podUID: string): void => {
  for (const containerID of namesIn(join(layout.stateDir, 'containers')))
    if (podOf(layout, containerID) === podUID) forgetContainer(layout, containerID)
  rmSync(podPaths(layout, podUID).dir, { recursive: true, force: true })
}
