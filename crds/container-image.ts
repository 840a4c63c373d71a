import { z } from 'zod'
import { objectMetadataSchema } from '../kube/resource.ts'
import {
  ageColumn,
  conditionsField,
  digestField,
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

const specSchema = z.object({
  source: z
    .object({
      registry: z
        .object({
          image: z.string().min(1).max(1024).meta({
            description: 'Image reference with tag or digest: debian:12, ghcr.io/owner/name@sha256:….',
          }),
          pullSecrets: z
            .array(z.object({ name: objectName.meta({ description: 'Name of the Secret.' }) }))
            .max(8)
            .optional()
            .meta({
              listMapKey: 'name',
              description:
                'Secrets of type kubernetes.io/dockerconfigjson in this namespace, to read the registry with.',
            }),
        })
        .meta({ description: 'An OCI or Docker image in a registry.' }),
    })
    .meta({ description: 'Where the image comes from.' }),
  platform: platformSchema.optional().meta({
    description: 'Which platform of a multi-platform image; the default is linux on the processor of the controller.',
  }),
})

const statusSchema = z.object({
  observedGeneration: observedGenerationField,
  resolved: z
    .object({
      reference: z.string().max(2048).meta({ description: 'repository@digest of the image for the platform.' }),
      digest: digestField('Digest of the image manifest for the platform.'),
      platform: platformSchema.meta({ description: 'The platform it is for.' }),
      sizeBytes: z.int().min(0).meta({ description: 'Compressed size of all layers.' }),
      resolveTime: z.string().meta({ format: 'date-time', description: 'When the reference was last resolved.' }),
      config: imageConfigSchema.meta({ description: 'What of the image configuration concerns running it.' }),
    })
    .optional()
    .meta({ description: 'What the source stands for.' }),
  conditions: conditionsField,
})

export const containerImageSchema = z.object({
  metadata: objectMetadataSchema,
  spec: specSchema,
  status: statusSchema.default({}),
})
export type ContainerImage = z.infer<typeof containerImageSchema>
export type ContainerImageStatus = z.infer<typeof statusSchema>

export const containerImage: KindDefinition = {
  kind: 'ContainerImage',
  plural: 'containerimages',
  singular: 'containerimage',
  shortName: 'cimg',
  description: 'An immutable base for instances: an image, resolved to its digest.',
  spec: specSchema,
  status: statusSchema,
  rules: [labelNameRule(63)],
  columns: [
    { name: 'Image', type: 'string', jsonPath: '.spec.source.registry.image' },
    readyColumn,
    reasonColumn,
    { name: 'Digest', type: 'string', jsonPath: '.status.resolved.digest', priority: 10 },
    messageColumn,
    ageColumn,
  ],
}
