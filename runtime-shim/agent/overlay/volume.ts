import { closeSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { hasCode } from '../../mount/error-code.ts'
import type { DeviceNumbers, OverlayVolume } from '../../mount/parts.ts'
import { openIfDevice } from '../../node/block-device.ts'
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

const entriesOf = (dir: string): string[] => {
  try {
    return readdirSync(dir).map((name) => join(dir, name))
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return []
    throw error
  }
}

const leadsTo = (path: string, device: DeviceNumbers): boolean => {
  const fd = openIfDevice(path, device)
  if (fd !== undefined) closeSync(fd)
  return fd !== undefined
}

/** The device that the runtime was told of, if the kubelet has laid it down for this pod. */
const deviceOf = (podDir: string, { devices }: Volumes, { name, mountPath }: OverlayInPod): OverlayVolume => {
  const device = devices.find((each) => each.mountPath === mountPath)?.device
  if (!device) throw unsuitable(name, `the container prepare has no device at ${mountPath}`)
  const own = join(podDir, 'volumeDevices')
  const mapPath = entriesOf(own)
    .flatMap(entriesOf)
    .find((path) => leadsTo(path, device))
  if (mapPath !== undefined) return { kind: 'device', ...device, mapPath }
  throw unsuitable(name, `the kubelet has no block volume ${device.major}:${device.minor} of this pod below ${own}`)
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
