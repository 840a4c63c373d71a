import { mebibytes } from '../../kube/quantity.ts'
import { printableName } from './names.ts'

export const registryErrorKinds = [
  ...(['NotFound', 'Unauthorized', 'Unreachable', 'NoPlatform', 'NoSpace'] as const),
  /** By the signature policy. */
  'Refused',
  'Invalid',
  'Other',
] as const
export type RegistryErrorKind = (typeof registryErrorKinds)[number]

/** The image cannot be had; the message is for the user: the reference, what is wrong, what to do next. */
export class RegistryError extends Error {
  override name = 'RegistryError'
  readonly kind: RegistryErrorKind
  constructor(kind: RegistryErrorKind, message: string, options?: ErrorOptions) {
    super(message, options)
    this.kind = kind
  }
}

/** Of a disk. */
interface Lack {
  /** Directory on the disk. */
  path: string
  /** Bytes that the image takes, by estimate. */
  needed: number
  /** Bytes that are free there. */
  free: number
  /** Bytes among them that stay free. */
  keepFree?: number
  /** What it takes is only what it had taken when it was stopped. */
  soFar?: boolean
}

const lackOf = ({ needed, free, keepFree = 0 }: Lack): string => {
  const are = `${mebibytes(free)} are free`
  if (free - keepFree >= needed) return `its inodes or a quota are used up, although ${are}`
  return keepFree > 0
    ? `${are}, of which ${mebibytes(keepFree)} stay free: make room on that disk`
    : `${are}: make room on that disk`
}

/** A disk is too full for the image. Nothing half-written is left of it. */
export class NoSpaceError extends RegistryError {
  override name = 'NoSpaceError'
  readonly lack: Lack
  /** Bytes that have to be freed for another try; 0 when nobody can tell. */
  readonly lacking: number
  /** With less than so many it would be in vain. */
  readonly lackingAtLeast: number
  /** Bytes that it had taken when it was stopped; 0 when nobody can tell. */
  readonly taken: number
  constructor(lack: Lack, options?: ErrorOptions) {
    const { path, needed, free, keepFree = 0, soFar = false } = lack
    const about = soFar ? 'more than' : 'about'
    super(
      'NoSpace',
      `no space left on ${path}: the image takes ${about} ${mebibytes(needed)} there, and ${lackOf(lack)}`,
      options,
    )
    this.lack = lack
    // The layers, and about as much again for what is made of them.
    this.lacking = soFar ? 0 : Math.max(2 * needed + keepFree - free, needed)
    this.lackingAtLeast = soFar ? 0 : Math.max(needed + keepFree - free, 0)
    this.taken = soFar ? needed : 0
  }
}

/** Of the cache's own size. */
interface CacheLack {
  needed: number
  /** So much may still come. */
  most: number
  /** As with a disk. */
  soFar?: boolean
}

/** The image is larger than what may still come into the cache. Nothing half-written is left of it. */
export class CacheFullError extends RegistryError {
  override name = 'CacheFullError'
  readonly lack: CacheLack
  /** Bytes that have to leave the cache for another try, no less; 0 when nobody can tell. */
  readonly lacking: number
  readonly lackingAtLeast: number
  /** Bytes that it had taken when it was stopped; 0 when nobody can tell. */
  readonly taken: number
  constructor(lack: CacheLack) {
    const { needed, most, soFar = false } = lack
    super(
      'NoSpace',
      `the image takes ${soFar ? 'more than' : 'about'} ${mebibytes(needed)}, and the cache of this node has room for ${mebibytes(most)} until it is as large as it may be (agent.cache.maxSize)`,
    )
    this.lack = lack
    this.lacking = soFar ? 0 : needed - most
    this.lackingAtLeast = this.lacking
    this.taken = soFar ? needed : 0
  }
}

export const fileErrorKinds = ['NotFound', 'Unauthorized', 'Unreachable', 'Mismatch', 'Other'] as const
export type FileErrorKind = (typeof fileErrorKinds)[number]

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
