import type { BigIntStats } from 'node:fs'
import type { LoopAttachment } from './loop.ts'

/** What a root is made of: where its parts lie, what they are once opened, and what became of them. */

/** Block device numbers. */
export interface DeviceNumbers {
  major: number
  minor: number
}

/** Where an overlay lies: a host directory of a volume, as the container runtime named it, or a block volume. */
export type OverlayVolume =
  | { kind: 'directory'; path: string }
  /** `mapPath`: the kubelet's path of the device, a trusted one; it may be a link. What it leads to must have the numbers. */
  | ({ kind: 'device'; mapPath: string } & DeviceNumbers)

export interface OverlaySource {
  name: string
  uid: string
  access: 'ReadWrite' | 'ReadOnly'
  volume: OverlayVolume
  /**
   * `Image`: what lies at `path`, told by its bytes: an ext3 image, a SIF with an overlay partition; ReadOnly also a
   * squashfs, or a directory whose `upper/`, else itself, is the layer. On a device: ext3 straight on it.
   * `Directory`: `path` is a directory that holds `upper/`, `work/`, `lamina.json` and `lock.squashfs`, a 4 KiB
   * squashfs (a copy of the skeleton will do) that must be there: its loop device bears the lock.
   */
  format: 'Image' | 'Directory'
  /** In a directory volume, relative to it and never followed through a link; `.` is the volume itself. Of no meaning on a device. */
  path: string
  /** For a writer: upon which other images its `lamina.json` may say that it lies, by their digests; none when left out. */
  leaves?: 'any' | string[] | undefined
}

/** A part of an open file that is a file system by itself; `size` reaches to what follows it in the file. Bytes. */
export interface Extent {
  offset: number
  size: number
}

/** How an open file is mounted as a layer. */
export interface ImageLayer {
  kind: 'squashfs' | 'ext3'
  extent: Extent
}

/**
 * What a reader does about the journal of an uncleanly unmounted image. `replay`: once, by the descriptor that is open for
 * writing under the exclusive lock. `leave`: the file system has errors, and what writes to it may make them worse.
 */
export type JournalOfReader = { kind: 'none' | 'leave' } | { kind: 'replay'; fd: number }

/** What an overlay turned out to be. */
export type OverlayContent =
  | { kind: 'squashfs'; extent: Extent }
  | { kind: 'ext3'; extent: Extent; journal: JournalOfReader }
  | ({ kind: 'device' } & DeviceNumbers)
  /** A foreign directory, ReadOnly; nothing locks it. */
  | { kind: 'plainDirectory' }
  /** Of format Directory; `fd` is its `lock.squashfs`. */
  | { kind: 'directory'; directory: number }

/** An overlay, open and locked; the locks go with the descriptors and the loop devices made from them. */
export interface OpenOverlay {
  source: OverlaySource
  /** On the host: of the image, the device or the directory. */
  path: string
  /** What its owner knows it by, for messages that name the overlay. */
  shown: string
  /**
   * The file whose loop device, or the device itself, bears witness to the mount: the image, `lock.squashfs`, the
   * device. Of a plain directory the directory itself, to whose mount nothing bears witness.
   */
  fd: number
  /** Of `fd`. */
  stats: BigIntStats
  content: OverlayContent
}

/**
 * `file`: a trusted path, in the cache. `below`: a path in a volume, a file or a directory (a sandbox container);
 * `shown` is what messages call it, instead of the host's path.
 */
export type BaseSource =
  | { kind: 'file'; path: string }
  | { kind: 'below'; directory: string; path: string; shown?: string | undefined }

export type BaseContent =
  | ImageLayer
  /** A sandbox container: the directory `path` below the volume's `directory`. */
  | { kind: 'directory'; directory: string; path: string }

/** A base, open, and locked for reading if it is a file. */
export interface OpenBase {
  /** For messages. */
  path: string
  fd: number
  content: BaseContent
  /** The overlay partition that a SIF brings with it: a read-only layer right above. */
  embedded: ImageLayer | undefined
}

/** A place for a mount, in a lowest layer that is made for the while. */
export interface MountPoint {
  /** Absolute, in the root. */
  path: string
  kind: 'directory' | 'file'
}

/** In the private namespace's own memory, and gone with it. */
export const inMemory = Symbol('in memory')

/** Everything that makes one root, opened and locked beforehand in the host's namespace. */
export interface RootParts {
  /** The host's empty directory over which the root is mounted. */
  target: string
  lockDir: string
  /** The lowest layer: mount points that would otherwise be created in the upper. An image opened by `openBase`, or what is to be made. */
  skeleton: OpenBase | readonly MountPoint[]
  /** `recorded`: what a written overlay says that it lies upon; one whose base has no such name keeps what it says. */
  base: OpenBase & { recorded: { reference: string; digest: string } | undefined }
  /** In the order of the spec: later ReadOnly ones lie higher. */
  overlays: readonly OpenOverlay[]
  /** Directory of the throw-away upper layer; given exactly when no overlay is ReadWrite. */
  ephemeral: string | typeof inMemory | undefined
  mountLabel: string
}

/** What the kernel holds of an overlay. Both null for a plain directory. */
export interface MountedOverlay {
  overlay: OpenOverlay
  /** Of an image or of `lock.squashfs`. */
  loop: LoopAttachment | null
  /** A block volume, mounted itself: exactly while it cannot be opened exclusively (open(2), O_EXCL). */
  device: DeviceNumbers | null
  /** It was mounted for reading in spite of this, in words. */
  damage: string | null
}

/** A base or an overlay cannot be mounted; the message names it and what to do. */
export class OverlayError extends Error {
  override name = 'OverlayError'
}

/** The overlay's file system is damaged, or has errors on record: e2fsck must go over it before it is written to. */
export class OverlayDamagedError extends OverlayError {
  override name = 'OverlayDamagedError'
  readonly overlay: Pick<OverlaySource, 'name' | 'uid'>
  /** What is wrong, without the overlay's name. */
  readonly damage: string
  constructor({ name, uid }: OverlaySource, damage: string, options?: ErrorOptions) {
    super(`overlay "${name}": ${damage}`, options)
    this.overlay = { name, uid }
    this.damage = damage
  }
}
