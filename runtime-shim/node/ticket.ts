import { z } from 'zod/mini'

/**
 * What agent and runtime tell each other through files in the pod's state
 * directory (see {@link ./layout.ts}). Written whole and renamed, so a reader
 * never sees half of one.
 */

const access = z.enum(['ReadWrite', 'ReadOnly'])

/**
 * Leave to mount, written by the agent after it has checked the whole chain of
 * DESIGN §4 and has the image in its cache. The runtime holds a shared flock on
 * the file, with link count above zero, until it has the images' own locks.
 */
export const ticketSchema = z.object({
  version: z.literal(1),
  pod: z.object({ namespace: z.string(), name: z.string(), uid: z.string() }),
  instance: z.object({ name: z.string(), uid: z.string() }),
  bootID: z.string(),
  image: z.object({
    /** `repo@sha256:…` */
    reference: z.string(),
    digest: z.string(),
    /** Absolute path of the flattened squashfs in the cache. */
    squashfs: z.string(),
  }),
  /** In the order of the instance's spec: later ReadOnly ones lie higher; at most one ReadWrite, always on top. */
  overlays: z.array(
    z.object({
      name: z.string(),
      uid: z.string(),
      access,
      /** Where the pod mounts the claim; the runtime takes the host path from the bundle's mount of this destination. */
      mountPath: z.string(),
    }),
  ),
  /** The throw-away overlay, present exactly when no overlay is ReadWrite. */
  ephemeral: z.nullable(z.object({ mountPath: z.string() })),
  /** Set when the pod leaves the user to the image: `config.User` (`name`, `uid`, `user:group`), resolved in the real root. */
  imageUser: z.nullable(z.string()),
  /** Supplemental groups and fsGroup of the pod, which an image's user gets too. */
  podGroups: z.array(z.number()),
  /** The pod's effective `runAsNonRoot`: then the runtime refuses uid 0. */
  runAsNonRoot: z.boolean(),
})
export type Ticket = z.infer<typeof ticketSchema>

/** Why a pod has no ticket (yet). The runtime repeats `message` when it gives up waiting, at once when `final`. */
export const refusalSchema = z.object({
  reason: z.string(),
  message: z.string(),
  /** No retry can mend it: a forged or foreign pod. */
  final: z.boolean(),
})
export type Refusal = z.infer<typeof refusalSchema>

/** Host paths of the pod's overlay volumes, as containerd handed them to the runtime for `prepare`. */
export const volumesSchema = z.object({
  volumes: z.array(z.object({ mountPath: z.string(), source: z.string() })),
})
export type Volumes = z.infer<typeof volumesSchema>

/** What one `create` mounted: enough to prove later, from sysfs alone, that it is gone. */
export const mountRecordSchema = z.object({
  containerID: z.string(),
  createTime: z.string(),
  overlays: z.array(
    z.object({
      name: z.string(),
      uid: z.string(),
      access,
      /** Host path of the image file at mount time. */
      path: z.string(),
      dev: z.number(),
      ino: z.number(),
      /** Loop device: it is the same attachment only while `diskseq` matches. */
      loop: z.object({ number: z.number(), diskseq: z.string() }),
    }),
  ),
})
export type MountRecord = z.infer<typeof mountRecordSchema>

/** What `delete` read from each image after the lock fell. Counts are of ext3 blocks and inodes. */
export const releaseRecordSchema = z.object({
  containerID: z.string(),
  releaseTime: z.string(),
  overlays: z.array(
    z.object({
      uid: z.string(),
      /** False: the lock was still held when the wait ended; the other fields are then not to be trusted. */
      released: z.boolean(),
      /** The superblock asks for journal recovery: not cleanly unmounted. */
      needsRecovery: z.boolean(),
      /** `s_error_count`: the kernel met file-system errors. */
      errorCount: z.number(),
      blockSize: z.number(),
      blocks: z.number(),
      freeBlocks: z.number(),
      inodes: z.number(),
      freeInodes: z.number(),
    }),
  ),
})
export type ReleaseRecord = z.infer<typeof releaseRecordSchema>

/** `progress/result.json`: how the preparation ended; `prepare` exits with `exitCode` and says `message`. */
export const prepareResultSchema = z.object({ exitCode: z.number(), message: z.string() })
export type PrepareResult = z.infer<typeof prepareResultSchema>
