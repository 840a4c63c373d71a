import { printableName } from './names.ts'
import { mebibytes } from './progress.ts'

export type RegistryErrorKind = 'NotFound' | 'Unauthorized' | 'Unreachable' | 'NoPlatform' | 'NoSpace' | 'Other'

/** The image cannot be had; the message is for the user: the reference, what is wrong, what to do next. */
export class RegistryError extends Error {
  override name = 'RegistryError'
  readonly kind: RegistryErrorKind
  constructor(kind: RegistryErrorKind, message: string, options?: ErrorOptions) {
    super(message, options)
    this.kind = kind
  }
}

/** A disk is too full for the image. Nothing half-written is left of it. */
export class NoSpaceError extends RegistryError {
  override name = 'NoSpaceError'
  /** Directory on the full file system. */
  readonly path: string
  /** Bytes that it takes, by estimate. */
  readonly needed: number
  /** Bytes that are free there. */
  readonly free: number
  constructor(room: { path: string; needed: number; free: number }, options?: ErrorOptions) {
    const { path, needed, free } = room
    const lack =
      free < needed
        ? `${mebibytes(free)} MiB are free: make room on that disk`
        : `its inodes or a quota are used up, although ${mebibytes(free)} MiB are free`
    super(
      'NoSpace',
      `no space left on ${path}: the image takes about ${mebibytes(needed)} MiB there, and ${lack}`,
      options,
    )
    this.path = path
    this.needed = needed
    this.free = free
  }
}

export type FileErrorKind = 'NotFound' | 'Unauthorized' | 'Unreachable' | 'Mismatch' | 'Other'

/** A file cannot be had from its URL; the message is for the user: the URL, what is wrong, what to do next. */
export class FileError extends Error {
  override name = 'FileError'
  readonly kind: FileErrorKind
  constructor(kind: FileErrorKind, message: string, options?: ErrorOptions) {
    super(message, options)
    this.kind = kind
  }
}

/** Where in an image something is. */
export interface Place {
  /** From 1, the lowest first, as registries list them. */
  layer?: number | undefined
  /** Path as the layer has it, one character a byte. */
  entry?: string | undefined
}

/** The image is there, but no root file system can be made of it; trying again does not help. */
export class ConversionError extends Error {
  override name = 'ConversionError'
  readonly layer: number | undefined
  readonly entry: string | undefined
  constructor(problem: string, { layer, entry }: Place = {}, options?: ErrorOptions) {
    const place = [
      ...(layer === undefined ? [] : [`layer ${layer}`]),
      ...(entry === undefined ? [] : [`"${printableName(entry)}"`]),
    ]
    super([...place, problem].join(': '), options)
    this.layer = layer
    this.entry = entry === undefined ? undefined : printableName(entry)
  }
}
