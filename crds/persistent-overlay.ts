import * as z from 'zod'
import { objectMetadataSchema } from '../kube/resource.ts'
import {
  ageColumn,
  conditionsField,
  digestField,
  healthyColumn,
  imageConfigSchema,
  isPathInVolume,
  type KindDefinition,
  labelNameRule,
  messageColumn,
  nameOfObject,
  objectName,
  observedGenerationField,
  pathInVolumeMessage,
  platformSchema,
  pullSecretsField,
  readyColumn,
  reasonColumn,
} from './common.ts'

const immutable = (field: string) => ({
  rule: 'self == oldSelf',
  message: `${field} cannot be changed: make another overlay`,
})

const specSchema = z.object({
  size: z
    .string()
    .max(32)
    .default('1Gi')
    .meta({
      description:
        'Size of the overlay file system, as a quantity (1Gi). It can grow, not shrink. What is on an existing claim keeps the size that it has; plain directories (format: Directory) are limited by their volume, which is made this large.',
      rules: [
        {
          rule: "isQuantity(self) && quantity(self).compareTo(quantity('16Mi')) >= 0",
          message: 'size must be a quantity of at least 16Mi, such as 1Gi',
        },
        {
          rule: "!isQuantity(self) || quantity(self).isLessThan(quantity('8Ei'))",
          message: 'size must be below 8Ei: no volume is larger',
        },
        {
          rule: '!isQuantity(self) || !isQuantity(oldSelf) || quantity(self).compareTo(quantity(oldSelf)) >= 0',
          message: 'size cannot shrink: make a smaller overlay and copy what you need',
        },
      ],
    }),
  storage: z
    .object({
      storageClassName: objectName.optional().meta({
        description: 'StorageClass of the claim; the default class when left out.',
        rules: [nameOfObject('storageClassName', 'StorageClass')],
      }),
      accessMode: z
        .enum(['ReadWriteOnce', 'ReadWriteOncePod', 'ReadWriteMany'])
        .default('ReadWriteOnce')
        .meta({ description: 'Access mode of the claim.' }),
      volumeMode: z
        .enum(['Filesystem', 'Block'])
        .default('Filesystem')
        .meta({ description: 'Filesystem: an image file in the volume. Block: ext3 on the device itself.' }),
      existingClaimName: objectName.optional().meta({
        description:
          'A claim that is there already and is not made, grown or deleted by Lamina. An administrator must allow it for the namespace.',
        rules: [
          nameOfObject('existingClaimName', 'PersistentVolumeClaim'),
          {
            rule: "!self.startsWith('lamina-')",
            message: 'a claim lamina-* belongs to the overlay of that name: use that one, or a claim of your own',
          },
        ],
      }),
      path: z
        .string()
        .max(1024)
        .optional()
        .meta({
          description:
            'Where in the existing claim the overlay is: an ext3 image, a SIF with an overlay, a squashfs or, read-only, a directory; overlay.img when left out.',
          rules: [
            {
              rule: isPathInVolume,
              message: pathInVolumeMessage('overlays/tools.img'),
            },
          ],
        }),
    })
    .prefault({})
    .meta({
      description: 'The claim that holds the data.',
      rules: [
        immutable('storage'),
        {
          rule: '!has(self.existingClaimName) || !has(self.storageClassName)',
          message: 'storageClassName is for a claim that is made: leave it out with existingClaimName',
        },
        {
          rule: "!has(self.path) || (has(self.existingClaimName) && self.volumeMode == 'Filesystem')",
          message: 'path is for an existing claim with a file system: set existingClaimName, or leave path out',
        },
      ],
    }),
  format: z
    .enum(['Image', 'Directory'])
    .default('Image')
    .meta({
      description:
        'Image: an ext3 file system. Directory: plain directories in the volume, faster with many small syncs, limited by the volume alone and not to be carried elsewhere as one file.',
      rules: [immutable('format')],
    }),
  ext3: z
    .object({
      bytesPerInode: z.int().min(1024).max(4_194_304).optional().meta({
        description:
          'One inode for so many bytes: smaller for many small files; when left out 16384, and 4096 below 512Mi.',
      }),
      reservedPercent: z
        .int()
        .min(0)
        .max(50)
        .optional()
        .meta({ description: 'Share of the blocks that only root may use; 0 when left out.' }),
      allocation: z.enum(['Full', 'Sparse']).optional().meta({
        description:
          'Full (when left out) backs the image by real blocks. Sparse takes them as they are written: writes are lost when the volume is full by then.',
      }),
    })
    .optional()
    .meta({ description: 'How the file system is made.', rules: [immutable('ext3')] }),
  reclaimPolicy: z
    .enum(['Retain', 'Delete'])
    .default('Retain')
    .meta({ description: 'Whether the data outlives this object (Retain) or goes with it (Delete).' }),
})

const growthBlockedSchema = z.object({
  bytes: z.int().min(0).meta({ description: 'The spec.size that was asked for.' }),
  reason: z.enum(['RestartRequired', 'OverlayTooSmall']).meta({
    description: 'RestartRequired: the next start does it. OverlayTooSmall: it was made to grow less far.',
  }),
  message: z.string().max(1024).meta({ description: 'Why, in words.' }),
})
export type GrowthBlocked = z.infer<typeof growthBlockedSchema>

const usageSchema = z.object({
  usedBytes: z.int().min(0).meta({ description: 'Bytes in use.' }),
  usedInodes: z.int().min(0).meta({ description: 'Files, directories and the like: inodes in use.' }),
  capacityBytes: z.int().min(0).meta({ description: 'Bytes that the file system can hold.' }),
  capacityInodes: z.int().min(0).meta({ description: 'Inodes that the file system can hold.' }),
  growthBlocked: growthBlockedSchema
    .optional()
    .meta({ description: 'What keeps the node from making the file system larger while it is in use.' }),
  observedTime: z.string().meta({ format: 'date-time', description: 'When the node looked.' }),
})

export const overlayBaseSchema = z.object({
  reference: z.string().max(2048).meta({ description: 'repository@digest of the image.' }),
  digest: digestField('Digest of the image manifest.'),
  platform: platformSchema.meta({ description: 'The platform it is for.' }),
  config: imageConfigSchema.meta({ description: 'What of the image configuration concerns running it.' }),
  pullSecrets: pullSecretsField('Secrets of this namespace that the image was read with.'),
})
export type OverlayBase = z.infer<typeof overlayBaseSchema>

const statusSchema = z.object({
  observedGeneration: observedGenerationField,
  claim: z
    .object({
      name: objectName.meta({ description: 'Its name.' }),
      uid: z.string().max(64).optional().meta({ description: 'Its uid: another claim of this name is not ours.' }),
    })
    .optional()
    .meta({ description: 'The PersistentVolumeClaim that holds the data.' }),
  base: overlayBaseSchema.optional().meta({
    description:
      'The image that the overlay lies upon: the one that it was first written upon, or has followed to since.',
  }),
  previousBase: overlayBaseSchema
    .pick({ reference: true, digest: true })
    .optional()
    .meta({ description: 'The image that it lay upon before it followed to another.' }),
  size: z.string().max(32).optional().meta({
    description:
      'Size of the file system: as the node last saw it; before that as the spec has it, unless it is on an existing claim.',
  }),
  capacity: z.string().max(32).optional().meta({ description: 'Capacity of the claim.' }),
  usage: usageSchema.optional().meta({ description: 'How full it was when the node last looked.' }),
  lastCheckTime: z
    .string()
    .optional()
    .meta({ format: 'date-time', description: 'When the file system was last checked.' }),
  attachments: z
    .array(
      z.object({
        instanceUID: z.string().max(64).meta({ description: 'Uid of the Instance that holds it.' }),
        instanceName: z.string().max(253).meta({ description: 'Name of the Instance that holds it.' }),
        access: z.enum(['ReadWrite', 'ReadOnly']).meta({ description: 'How it is held.' }),
        attachTime: z.string().max(64).meta({ format: 'date-time', description: 'Since when.' }),
      }),
    )
    .max(256)
    .optional()
    .meta({
      listMapKey: 'instanceUID',
      description: 'Instances that hold the overlay: one writer, or readers.',
      rules: [
        {
          rule: "self.size() <= 1 || self.all(a, a.access == 'ReadOnly')",
          message: 'one writer, or readers: never both',
        },
      ],
    }),
  conditions: conditionsField,
})

export const persistentOverlaySchema = z.object({
  metadata: objectMetadataSchema,
  spec: specSchema,
  status: statusSchema.default({}),
})
export type PersistentOverlay = z.infer<typeof persistentOverlaySchema>
export type PersistentOverlayStatus = z.infer<typeof statusSchema>
export type Attachment = NonNullable<PersistentOverlayStatus['attachments']>[number]
export type Usage = z.infer<typeof usageSchema>

export const persistentOverlay: KindDefinition = {
  kind: 'PersistentOverlay',
  plural: 'persistentoverlays',
  singular: 'persistentoverlay',
  shortName: 'ovl',
  description: 'A writable ext3 layer that keeps what is installed or changed on top of an image.',
  spec: specSchema,
  status: statusSchema,
  rules: [
    labelNameRule(54),
    {
      rule: "self.spec.format == 'Image' || self.spec.storage.volumeMode == 'Filesystem'",
      message: 'format: Directory needs a volume with a file system: set storage.volumeMode: Filesystem',
      fieldPath: '.spec.storage.volumeMode',
    },
    {
      rule: "self.spec.format == 'Directory' || !isQuantity(self.spec.size) || quantity(self.spec.size).isLessThan(quantity('16Ti'))",
      message: 'size must be below 16Ti, where ext3 ends: use format: Directory for more',
      fieldPath: '.spec.size',
    },
    {
      rule: '!has(self.spec.ext3) || !has(self.spec.ext3.bytesPerInode) || !isQuantity(self.spec.size) || quantity(self.spec.size).asApproximateFloat() < double(self.spec.ext3.bytesPerInode) * 4294967296.0',
      message: 'ext3 has fewer than 2^32 inodes: so large a size needs a larger ext3.bytesPerInode',
      fieldPath: '.spec.ext3.bytesPerInode',
    },
    {
      rule: "self.spec.format == 'Image' || !has(self.spec.ext3)",
      message: 'ext3 is for format: Image: leave one of the two out',
      fieldPath: '.spec.ext3',
    },
    {
      rule: '!has(self.spec.ext3) || !has(self.spec.storage.existingClaimName)',
      message:
        'ext3 says how a file system is made, and what is on an existing claim stays as it is: leave one of the two out',
      fieldPath: '.spec.ext3',
    },
    {
      rule: "!has(self.spec.ext3) || !has(self.spec.ext3.allocation) || self.spec.storage.volumeMode == 'Filesystem'",
      message: 'ext3.allocation is for an image in a volume with a file system: leave it out with volumeMode: Block',
      fieldPath: '.spec.ext3.allocation',
    },
    {
      rule: "!has(self.spec.storage.existingClaimName) || self.spec.reclaimPolicy == 'Retain'",
      message: 'an existing claim is never deleted by Lamina: set reclaimPolicy: Retain',
      fieldPath: '.spec.reclaimPolicy',
    },
    // Immutability of the field itself says nothing of one that was not there before.
    {
      rule: 'has(self.spec.ext3) == has(oldSelf.spec.ext3)',
      message: 'ext3 cannot be changed: make another overlay',
      fieldPath: '.spec.ext3',
    },
  ],
  columns: [
    { name: 'Size', type: 'string', jsonPath: '.status.size' },
    readyColumn,
    reasonColumn,
    { name: 'Holder', type: 'string', jsonPath: '.status.attachments[*].instanceName' },
    healthyColumn,
    { name: 'Claim', type: 'string', jsonPath: '.status.claim.name', priority: 10 },
    { name: 'Used', type: 'integer', jsonPath: '.status.usage.usedBytes', priority: 10 },
    messageColumn,
    ageColumn,
  ],
}
