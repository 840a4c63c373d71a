import type { SparseMap } from './sparse.ts'

export type EntryType = 'file' | 'directory' | 'symlink' | 'hardlink' | 'character' | 'block' | 'fifo'

/** What an inode has besides its content. */
export interface Metadata {
  /** Permissions, 12 bits. */
  mode: number
  uid: number
  gid: number
  /** Whole seconds; may be before 1970. */
  mtime: number
  /** Extended attributes, names and values as bytes. */
  xattrs: ReadonlyMap<string, string>
}

/** What a tar archive says of one file, whichever of tar's formats it says it in. Names are bytes (`../names.ts`). */
export interface EntryHeader extends Metadata {
  type: EntryType
  /** As the archive has it: not normalized. */
  name: string
  /** Target of a symbolic or hard link; otherwise empty. */
  link: string
  major: number
  minor: number
}

export interface TarEntry {
  header: EntryHeader
  /**
   * The archive's own blocks before the body. Undefined where tar2sqfs would
   * read them otherwise than we do: then they must be encoded anew.
   */
  original: readonly Buffer[] | undefined
  /** Bytes of data that follow in the archive, padded to whole blocks. */
  bodySize: number
  sparse: SparseMap | undefined
}

/**
 * Whether the attribute goes into the squashfs. `trusted.*` is the host's, never
 * an image's (it steers overlayfs); `user.*` is for files and directories only;
 * squashfs has no place for `system.*`, access control lists.
 */
export const isStorable = (attribute: string, type: EntryType): boolean =>
  attribute.startsWith('security.') ||
  (attribute.startsWith('user.') && (type === 'file' || type === 'directory' || type === 'hardlink'))
