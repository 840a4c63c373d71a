import type { PersistentOverlay } from '../../../crds/persistent-overlay.ts'
import type { Extent, OverlayVolume } from '../../mount/parts.ts'
import type { Undertaking } from '../../mount/undertaking.ts'
import type { Figures } from '../../node/ticket.ts'

/** What is to become of an overlay before it is mounted. */
export interface Preparation {
  /** For messages. */
  overlay: string
  /** Of the overlay: on a device, what was begun for another one is not gone on with. */
  uid: string
  /** As the agent sees it. */
  volume: OverlayVolume
  format: 'Image' | 'Directory'
  /** In a directory volume: of the image, or of the directory. */
  path: string
  /** Bytes that the file system is to have; a larger one stays as it is. On a device all of it is used instead. */
  size: number
  ext3: NonNullable<PersistentOverlay['spec']['ext3']>
  /** For a reader only what is missing is made, and what is new here is imported. */
  access: 'ReadWrite' | 'ReadOnly'
  /** On a claim that Lamina did not make: an image that is there keeps its size. */
  existing: boolean
  /** Whether it has been made or imported before: then what is missing is lost, and not made anew. */
  made: boolean
  /** Whether errors were left to a person, or it could not be mounted: then it is looked over anew, and taken over if it never was. */
  wasDamaged: boolean
  /** Locks around attaching loop devices ({@link ../../node/layout.ts}). */
  lockDir: string
  /** Copied into directories, to bear their lock. */
  skeleton: string
  /** The program {@link ./worker/main.ts}. */
  worker: string
  onProgress(line: string): void
  /** How long another's lock may last. */
  lockWaitMs?: number
  /** A file to which nobody has written for so long is being copied by nobody. */
  stillAfterMs?: number
  /** Milliseconds since 1970 up to which writes to it may be our own ({@link ./own-writes.ts}). */
  ownWritesUntil?: number | undefined
}

export interface PreparedOverlay {
  figures: Figures
  /** For a reader, of what others read: it was left as it is, and may not have been prepared by us. */
  inUse?: boolean
  /** Whether all of it was looked through: by e2fsck, or a directory that could not be mounted by the import. */
  checked: boolean
  /** What e2fsck corrected, in its words. */
  repaired?: string[]
  /** What e2fsck -p leaves to a person, in its words and with what to do: then it must not be written on. */
  damaged?: string
}

/** An open file or device, under the exclusive lock. */
export interface LockedFile {
  fd: number
  /**
   * Where the lock is not `fd`'s own: its descriptor. Children get it as well, so
   * that it lasts until they have ended too, should the agent be killed.
   */
  lock?: number
}

/** An ext3 file system that is open for writing. */
export interface Target extends LockedFile {
  /** What of the file or device the file system may take. */
  extent: Extent
  /** For messages. */
  what: string
  /** The directory of the file, where it can be told how much is free; null for a device, which has all its blocks. */
  directory: string | null
  /** Bytes that the file system is to grow to; undefined where it keeps its size. */
  growsTo: number | undefined
  undertaking: UndertakingNote
}

/** A note beside the file system of what is under way on it; written and removed under its lock, and on disk when the promise is fulfilled. */
export interface UndertakingNote {
  read(): Undertaking | undefined
  write(undertaking: Undertaking): Promise<void>
  clear(): Promise<void>
}
