import { join } from 'node:path'
import type { OverlayVolume } from '../../mount/parts.ts'
import { findMapPath, mapDirOf } from '../../node/block-device.ts'
import type { NodeLayout } from '../../node/layout.ts'
import type { Volumes } from '../../node/ticket.ts'
import { Trouble } from '../trouble.ts'

/** An overlay as its pod has it. */
interface OverlayInPod {
  name: string
  mountPath: string
  volumeMode: 'Filesystem' | 'Block'
}

const unsuitable = (name: string, why: string): Trouble =>
  new Trouble('OverlayVolumeUnsuitable', `overlay "${name}": ${why}`)

const directoryOf = (podDir: string, { volumes }: Volumes, { name, mountPath }: OverlayInPod): OverlayVolume => {
  const source = volumes.find((volume) => volume.mountPath === mountPath)?.source
  const own = join(podDir, 'volumes')
  if (source?.startsWith(`${own}/`) && !source.split('/').includes('..')) return { kind: 'directory', path: source }
  throw unsuitable(
    name,
    `its volume is at ${source ?? 'no path'}, not below ${own}: hostPath volumes are not possible, local and CSI volumes are`,
  )
}

/** The device that the runtime was told of, if the kubelet has laid it down for this pod. */
const deviceOf = (podDir: string, { devices }: Volumes, { name, mountPath }: OverlayInPod): OverlayVolume => {
  const device = devices.find((each) => each.mountPath === mountPath)?.device
  if (!device) throw unsuitable(name, `the container prepare has no device at ${mountPath}`)
  const mapPath = findMapPath(podDir, device)
  if (mapPath !== undefined) return { kind: 'device', ...device, mapPath }
  const { major, minor } = device
  throw unsuitable(name, `the kubelet has no block volume ${major}:${minor} of this pod below ${mapDirOf(podDir)}`)
}

/**
 * Where an overlay of the pod lies: as the runtime was told, if that is among what
 * the kubelet has laid down for this very pod.
 *
 * @throws Trouble
 */
export const volumeOf = (
  { kubeletDir }: Pick<NodeLayout, 'kubeletDir'>,
  podUID: string,
  volumes: Volumes,
  overlay: OverlayInPod,
): OverlayVolume => {
  const podDir = join(kubeletDir, 'pods', podUID)
  return overlay.volumeMode === 'Block' ? deviceOf(podDir, volumes, overlay) : directoryOf(podDir, volumes, overlay)
}
