import { readlinkSync } from 'node:fs'
import { descriptorPath } from '../mount/open.ts'
import type { MountedOverlay, OpenOverlay, OverlayContent } from '../mount/parts.ts'
import type { MountRecord, Ticket } from '../node/ticket.ts'

export type Recordable = Pick<MountedOverlay, 'overlay' | 'loop' | 'device'>

/** As it is recorded before its mount: a device is known by then, a loop device is not. */
export const unmounted = (overlay: OpenOverlay): Recordable => ({
  overlay,
  loop: null,
  device: overlay.content.kind === 'device' ? { major: overlay.content.major, minor: overlay.content.minor } : null,
})

const ext3Offset = (content: OverlayContent): number | null => {
  if (content.kind === 'device') return 0
  return content.kind === 'ext3' ? content.extent.offset : null
}

/** What `create` leaves for the agent and for `delete`. */
export const recordOf = (
  {
    containerID,
    pidFile,
    ticket,
    createTime,
  }: { containerID: string; pidFile: string; ticket: Ticket; createTime: Date },
  overlays: readonly Recordable[],
): MountRecord => ({
  containerID,
  createTime: createTime.toISOString(),
  pidFile,
  instance: { namespace: ticket.pod.namespace, name: ticket.instance.name },
  overlays: overlays.map(({ overlay: { source, path, fd, stats, content }, loop, device }) => ({
    name: source.name,
    uid: source.uid,
    access: source.access,
    // A reader's descriptor is of a mount without a place.
    path: source.access === 'ReadWrite' ? readlinkSync(descriptorPath(fd)) : path,
    dev: String(stats.dev),
    ino: String(stats.ino),
    loop,
    device,
    ext3Offset: ext3Offset(content),
  })),
})
