import { z } from 'zod'
import { objectMetadataSchema } from '../kube/resource.ts'
import {
  ageColumn,
  conditionsField,
  digestField,
  healthyColumn,
  imageConfigSchema,
  type KindDefinition,
  labelNameRule,
  messageColumn,
  objectName,
  observedGenerationField,
  platformSchema,
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
      description: 'Size of the overlay file system, as a quantity (1Gi). It can grow, not shrink.',
      rules: [
        {
          rule: "isQuantity(self) && quantity(self).compareTo(quantity('16Mi')) >= 0",
          message: 'size must be a quantity of at least 16Mi, such as 1Gi',
        },
        {
          rule: '!isQuantity(self) || !isQuantity(oldSelf) || quantity(self).compareTo(quantity(oldSelf)) >= 0',
          message: 'size cannot shrink: make a smaller overlay and copy what you need',
        },
      ],
    }),
  storage: z
    .object({
      storageClassName: objectName
        .optional()
        .meta({ description: 'StorageClass of the claim; the default class when left out.' }),
      accessMode: z
        .enum(['ReadWriteOnce', 'ReadWriteOncePod', 'ReadWriteMany'])
        .default('ReadWriteOnce')
        .meta({ description: 'Access mode of the claim.' }),
    })
    .prefault({})
    .meta({ description: 'The claim that holds the image.', rules: [immutable('storage')] }),
  reclaimPolicy: z
    .enum(['Retain', 'Delete'])
    .default('Retain')
    .meta({ description: 'Whether the data outlives this object (Retain) or goes with it (Delete).' }),
})

const usageSchema = z.object({
  usedBytes: z.int().min(0).meta({ description: 'Bytes in use.' }),
  usedInodes: z.int().min(0).meta({ description: 'Files, directories and the like: inodes in use.' }),
  capacityBytes: z.int().min(0).meta({ description: 'Bytes that the file system can hold.' }),
  capacityInodes: z.int().min(0).meta({ description: 'Inodes that the file system can hold.' }),
  observedTime: z.string().meta({ format: 'date-time', description: 'When the node looked.' }),
})

export const overlayBaseSchema = z.object({
  reference: z.string().max(2048).meta({ description: 'repository@digest of the image.' }),
  digest: digestField('Digest of the image manifest.'),
  platform: platformSchema.meta({ description: 'The platform it is for.' }),
  config: imageConfigSchema.meta({ description: 'What of the image configuration concerns running it.' }),
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
  base: overlayBaseSchema.optional().meta({ description: 'The image that the overlay was first written upon.' }),
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
  rules: [labelNameRule(54)],
  columns: [
    { name: 'Size', type: 'string', jsonPath: '.spec.size' },
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
