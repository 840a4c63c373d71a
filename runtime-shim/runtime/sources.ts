import { join } from 'node:path'
import type { BaseSource, DeviceNumbers, OverlaySource, OverlayVolume } from '../mount/parts.ts'
import { findMapPath, mapDirOf } from '../node/block-device.ts'
import { imagePaths, type NodeLayout } from '../node/layout.ts'
import type { Ticket } from '../node/ticket.ts'
import { type OciConfig, ourDevices, ourVolumes } from './bundle.ts'

/** What the ticket gives leave to, found again in the bundle: where the parts of the root lie on the host. */
export interface Sources {
  base: BaseSource
  overlays: OverlaySource[]
  /** Directory of the throw-away overlay. */
  ephemeral: string | undefined
}

const notInBundle = (what: string, mountPath: string): Error =>
  new Error(`the ticket names a ${what} at ${mountPath} that the container does not have`)

const directoryAt = (config: OciConfig, mountPath: string): string => {
  const source = ourVolumes(config).get(mountPath)
  if (source === undefined) throw notInBundle('volume', mountPath)
  return source
}

/** The kubelet's directory of the pod, as the sources of the bundle's mounts show it: it need not be the usual one. */
const kubeletPodDir = ({ kubeletDir }: NodeLayout, podUID: string, { mounts }: OciConfig): string => {
  const middle = `/pods/${podUID}/`
  const shown = mounts.map(({ source = '' }) => source).find((source) => source.includes(middle))
  return shown === undefined ? join(kubeletDir, 'pods', podUID) : shown.slice(0, shown.indexOf(middle) + middle.length)
}

/**
 * Where the kubelet has laid the pod's block volume down. The bundle has only
 * the device's numbers; that they belong to one of the pod's own volumes is
 * what this shows.
 */
const mapPathOf = (podDir: string, device: DeviceNumbers): string => {
  const found = findMapPath(podDir, device)
  if (found !== undefined) return found
  const { major, minor } = device
  throw new Error(`the kubelet has no block volume ${major}:${minor} of this pod below ${mapDirOf(podDir)}`)
}

const volumeOf = (
  layout: NodeLayout,
  { pod, overlay }: { pod: Ticket['pod']; overlay: Ticket['overlays'][number] },
  config: OciConfig,
): OverlayVolume => {
  const { mountPath, volumeMode } = overlay
  if (volumeMode === 'Filesystem') return { kind: 'directory', path: directoryAt(config, mountPath) }
  const device = ourDevices(config).get(mountPath)
  if (device === undefined) throw notInBundle('block device', mountPath)
  return { kind: 'device', ...device, mapPath: mapPathOf(kubeletPodDir(layout, pod.uid, config), device) }
}

/** As the mount library wants it, which takes no empty path. */
const orWholeVolume = (path: string): string => path || '.'

/** What its owner knows it by: the host's path says nothing to him. */
const shownOf = (reference: string, path: string): string => {
  const claim = `PersistentVolumeClaim ${/^volume:\/\/([^/]+)\//.exec(reference)?.[1] ?? reference}`
  return path === '' ? claim : `"${path}" on ${claim}`
}

/** @throws when the bundle lacks a volume or device that the ticket names */
export const sourcesOf = (layout: NodeLayout, ticket: Ticket, config: OciConfig): Sources => {
  const { pod, image, ephemeral } = ticket
  return {
    base: image.volume
      ? {
          kind: 'below',
          directory: directoryAt(config, image.volume.mountPath),
          path: orWholeVolume(image.volume.path),
          shown: shownOf(image.reference, image.volume.path),
        }
      : { kind: 'file', path: imagePaths(layout, image.digest).file },
    overlays: ticket.overlays.map((overlay) => {
      const { name, uid, access, format, path, leaves } = overlay
      return {
        name,
        uid,
        access,
        format,
        leaves,
        path: orWholeVolume(path),
        volume: volumeOf(layout, { pod, overlay }, config),
      }
    }),
    ephemeral: ephemeral ? directoryAt(config, ephemeral.mountPath) : undefined,
  }
}
