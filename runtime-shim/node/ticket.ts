import * as z from 'zod/mini'
import { digestPattern } from '../../kube/digest.ts'
import { overlayImageName } from '../mount/names.ts'

/**
 * What agent and runtime tell each other through files in the pod's state
 * directory (see {@link ./layout.ts}). Written whole and renamed, so a reader
 * never sees half of one.
 */

const access = z.enum(['ReadWrite', 'ReadOnly'])

/**
 * Leave to mount, written by the agent after it has checked the whole chain
 * ({@link ../agent/pods/chain.ts}) and has the image in its cache. The runtime holds a shared flock on
 * the file, with link count above zero, until the mounts and their record exist:
 * whoever has it exclusively knows of every mount.
 */
export const ticketSchema = z.object({
  version: z.literal(1),
  pod: z.object({ namespace: z.string(), name: z.string(), uid: z.string() }),
  instance: z.object({ name: z.string(), uid: z.string() }),
  bootID: z.string(),
  image: z
    .object({
      /** `repository@digest`, `https://…@digest`, `oras://…@digest` or `volume://claim/path@digest` */
      reference: z.string(),
      digest: z.string().check(z.regex(digestPattern)),
      /** Where it lies: null for the cache, by its digest and nowhere else (`imagePaths`), else a volume of the pod. */
      volume: z._default(z.nullable(z.object({ mountPath: z.string(), path: z.string() })), null),
      /** Whether an ext3 container image may be given to the kernel (the administrator's `allowedSources.ext3Base`). */
      allowExt3: z._default(z.boolean(), false),
    })
    .check(z.refine(({ reference, digest }) => reference.endsWith(`@${digest}`))),
  /** In the order of the instance's spec: later ReadOnly ones lie higher; at most one ReadWrite, always on top. */
  overlays: z.array(
    z.object({
      name: z.string(),
      uid: z.string(),
      access,
      /** Where the pod has the claim: the destination of a mount of the bundle, or the path of a device. */
      mountPath: z.string(),
      volumeMode: z._default(z.enum(['Filesystem', 'Block']), 'Filesystem'),
      format: z._default(z.enum(['Image', 'Directory']), 'Image'),
      /** In a volume with a file system: of the image, or of the directory. */
      path: z._default(z.string(), overlayImageName),
      /** Upon which other images than `image` it may be found: digests, or any of one that follows its image. */
      leaves: z._default(z.union([z.literal('any'), z.array(z.string())]), []),
    }),
  ),
  /** The throw-away overlay, present exactly when no overlay is ReadWrite. */
  ephemeral: z.nullable(z.object({ mountPath: z.string() })),
  /**
   * Who the process runs as, `user[:group]` by name or number, `''` for root:
   * what the pod asks for, else the image's `config.User`. Resolved in the real
   * root, since the container runtime looked at the placeholder's passwd.
   */
  user: z.string(),
  /** Supplemental groups and fsGroup of the pod. */
  podGroups: z.array(z.number()),
  /** Whether the groups that the image lists for the user are added: `supplementalGroupsPolicy` is not Strict. */
  imageGroups: z.boolean(),
  /** The pod's effective `runAsNonRoot`: then the runtime refuses uid 0. */
  runAsNonRoot: z.boolean(),
  /** Number of the signal that stands in for SIGTERM, as the image asks; null: none does. */
  stopSignal: z._default(z.nullable(z.number()), null),
})
export type Ticket = z.infer<typeof ticketSchema>
/** As it may be written: without what has a default. */
export type TicketInput = z.input<typeof ticketSchema>

/** Why a pod has no ticket (yet). The runtime repeats `message` when it gives up waiting, at once when `final`. */
export const refusalSchema = z.object({
  reason: z.string(),
  message: z.string(),
  /** No retry can mend it: a forged or foreign pod. */
  final: z.boolean(),
})
export type Refusal = z.infer<typeof refusalSchema>

/** Block device numbers. */
const deviceSchema = z.object({ major: z.number(), minor: z.number() })

/** The pod's overlay volumes, as the container runtime handed them over for `prepare`. */
export const volumesSchema = z.object({
  /** Volumes with a file system: their paths on the host. */
  volumes: z.array(z.object({ mountPath: z.string(), source: z.string() })),
  /** Block volumes: their devices, by the path that the pod knows them at. */
  devices: z._default(z.array(z.object({ mountPath: z.string(), device: deviceSchema })), []),
})
export type Volumes = z.infer<typeof volumesSchema>

/**
 * What one `create` mounted: enough to prove later, from sysfs alone, that it is
 * gone. Written before the first mount and again after the last one, so that
 * none goes unrecorded if `create` is killed between.
 */
export const mountRecordSchema = z.object({
  containerID: z.string(),
  createTime: z.string(),
  overlays: z.array(
    z.object({
      name: z.string(),
      uid: z.string(),
      access,
      /** Host path of the image file, or of the block device, as the kernel named it at mount time. */
      path: z.string(),
      /** Device and inode, in decimal: they may exceed what a double holds. */
      dev: z.string(),
      ino: z.string(),
      /**
       * Loop device: it is the same attachment only while `diskseq` matches. Null
       * until the mounts exist; then only `path` can tell.
       */
      loop: z.nullable(z.object({ number: z.number(), diskseq: z.string() })),
      /** A block volume is mounted itself: exactly while it cannot be opened exclusively (open(2), O_EXCL). */
      device: z._default(z.nullable(deviceSchema), null),
      /** Where in `path` its ext3 file system begins, in bytes: not at 0 in a SIF. Null: a squashfs, or a directory. */
      ext3Offset: z._default(z.nullable(z.number()), 0),
    }),
  ),
  /** Where the runtime writes the pid of the container's first process; a path of the host. */
  pidFile: z._default(z.string(), ''),
  /** For whom, to tell those who must wait; the pod has the instance's name. */
  instance: z._default(z.nullable(z.object({ namespace: z.string(), name: z.string() })), null),
})
export type MountRecord = z.infer<typeof mountRecordSchema>
export type RecordedOverlay = MountRecord['overlays'][number]

/** An overlay that the runtime could not mount for damage, or only in spite of it. */
export const damageSchema = z.object({
  overlay: z.object({ name: z.string(), uid: z.string() }),
  message: z.string(),
})
export type Damage = z.infer<typeof damageSchema>

/** What of a superblock tells the agent; counts are of ext3 blocks and inodes. */
export const figuresSchema = z.object({
  /** The superblock asks for journal recovery: not cleanly unmounted. */
  needsRecovery: z.boolean(),
  /** `s_error_count`: the kernel met file-system errors. */
  errorCount: z.number(),
  blockSize: z.number(),
  blocks: z.number(),
  freeBlocks: z.number(),
  inodes: z.number(),
  freeInodes: z.number(),
})
export type Figures = z.infer<typeof figuresSchema>

/** What `delete` found of each writable overlay after the container's end. */
export const releaseRecordSchema = z.object({
  containerID: z.string(),
  releaseTime: z.string(),
  overlays: z.array(
    z.object({
      name: z.string(),
      uid: z.string(),
      /** False: still mounted when the wait ended. */
      released: z.boolean(),
      /** Null: not released, no ext3 (format Directory), or the image could not be read. */
      figures: z.nullable(figuresSchema),
    }),
  ),
})
export type ReleaseRecord = z.infer<typeof releaseRecordSchema>

/** `progress/result.json`: how the preparation ended; `prepare` exits with `exitCode` and says `message`. */
export const prepareResultSchema = z.object({ exitCode: z.number(), message: z.string() })
export type PrepareResult = z.infer<typeof prepareResultSchema>
