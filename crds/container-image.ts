import * as z from 'zod'
import { objectMetadataSchema } from '../kube/resource.ts'
import {
  ageColumn,
  conditionsField,
  digestField,
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

const pullSecrets = pullSecretsField(
  'Secrets of type kubernetes.io/dockerconfigjson in this namespace, to read the registry with.',
  { rules: [nameOfObject('pullSecrets[].name', 'Secret')] },
)

const registrySource = z.object({
  image: z.string().min(1).max(1024).meta({
    description: 'Image reference with tag or digest: debian:12, ghcr.io/owner/name@sha256:….',
  }),
  pullSecrets,
})

const fileSource = z.object({
  url: z
    .string()
    .max(1900)
    .meta({
      description:
        'https://… of the file, or oras://registry/repository:tag of an artifact that holds it. A query (?…), which may be a signature, is repeated nowhere in status, Events or logs; who may read the object can read it, `kubectl get` shows it.',
      rules: [
        {
          rule: "self.startsWith('https://') ? isURL(self) && url(self).getHost() != '' : self.matches('^oras://[^/]+/.+')",
          message: 'url must be https://host/… or oras://registry/repository:tag',
        },
        {
          rule: "!self.matches('^[a-z]+://[^/?#]*@')",
          message: 'url has no place for credentials: use pullSecrets with oras, or a file that is open to all',
        },
      ],
    }),
  sha256: z
    .string()
    .max(256)
    .optional()
    .meta({
      description: 'SHA-256 of the file in hexadecimal; what else comes is refused. Required with https.',
      rules: [
        {
          rule: "self.matches('^[0-9a-fA-F]{64}$')",
          message: 'sha256 must be 64 hexadecimal digits and nothing else: what sha256sum prints before the name',
        },
      ],
    }),
  pullSecrets,
})

const volumeSource = z.object({
  claimName: objectName.meta({
    description: 'PersistentVolumeClaim in this namespace.',
    rules: [
      nameOfObject('claimName', 'PersistentVolumeClaim'),
      { rule: "!self.startsWith('lamina-')", message: 'a claim that holds an overlay cannot be an image: use another' },
    ],
  }),
  path: z
    .string()
    .max(1024)
    .default('')
    .meta({
      description:
        'Path in the volume: a file (squashfs, SIF, .simg), or a directory that is the root itself, a sandbox; the volume itself when left out.',
      rules: [
        {
          rule: `self == '' || (${isPathInVolume})`,
          message: pathInVolumeMessage('images/tools.sif'),
        },
      ],
    }),
})

const specSchema = z.object({
  source: z
    .object({
      registry: registrySource.optional().meta({ description: 'An OCI or Docker image in a registry.' }),
      file: fileSource.optional().meta({
        description: 'A squashfs, SIF or Singularity 2.x image (.simg) to download.',
        rules: [
          {
            rule: "has(self.sha256) || !self.url.startsWith('https://')",
            message: 'sha256 is required with https: give what sha256sum says of the file',
          },
          {
            rule: "!has(self.pullSecrets) || self.url.startsWith('oras://')",
            message: 'pullSecrets are for registries: leave them out with https',
          },
        ],
      }),
      volume: volumeSource.optional().meta({ description: 'An image or a sandbox directory on a volume.' }),
    })
    .meta({
      description: 'Where the image comes from.',
      rules: [
        {
          rule: '[has(self.registry), has(self.file), has(self.volume)].filter(given, given).size() == 1',
          message: 'source needs exactly one of registry, file and volume',
        },
      ],
    }),
  platform: platformSchema.optional().meta({
    description: 'Which platform of a multi-platform image; the default is linux on the processor of the controller.',
  }),
  refresh: z
    .object({
      policy: z
        .enum(['Never', 'Interval'])
        .default('Never')
        .meta({ description: 'Never: a tag is looked up once. Interval: once in every period.' }),
      periodSeconds: z
        .int()
        .optional()
        .meta({
          description: 'How often a tag is looked up; 3600 when left out. Each image has its own turn in the period.',
          rules: [
            {
              rule: 'self >= 60 && self <= 2678400',
              message: 'periodSeconds must be from 60 (a minute) to 2678400 (31 days)',
            },
          ],
        }),
    })
    .optional()
    .meta({
      description:
        'Whether a tag is looked up again after its digest was found. Instances that run keep their digest. What names a digest or a sha256 is never looked up again.',
    }),
  prefetch: z
    .object({
      nodeSelector: z.record(z.string(), z.string().max(63)).default({}).meta({
        maxProperties: 64,
        description: 'Labels of the nodes that fetch it beforehand; all nodes when empty.',
      }),
    })
    .optional()
    .meta({ description: 'Fetch the image to nodes before an Instance asks for it.' }),
})

const statusSchema = z.object({
  observedGeneration: observedGenerationField,
  resolved: z
    .object({
      reference: z.string().max(2048).meta({
        description:
          'repository@digest of the image for the platform; of a file its URL without the query, of a volume its claim and path, each with @digest.',
      }),
      digest: digestField(
        'Digest of the image manifest for the platform, or of the file; of an image on a volume it stands for the place alone.',
      ),
      platform: platformSchema.meta({ description: 'The platform it is for.' }),
      sizeBytes: z
        .int()
        .min(0)
        .meta({ description: 'Size of what is fetched: compressed layers, or the file; 0 when that is not known.' }),
      sourceHash: z.string().max(64).optional().meta({
        description: 'Of what in the spec says which image it is: while it is the same, nothing is looked up again.',
      }),
      resolveTime: z.string().meta({ format: 'date-time', description: 'When this digest was found.' }),
      config: imageConfigSchema.meta({ description: 'What of the image configuration concerns running it.' }),
    })
    .optional()
    .meta({ description: 'What the source stands for.' }),
  handledRefreshRequest: z.string().max(256).optional().meta({
    description:
      'The value of the annotation lamina.dev/refresh-requested that was last met; of a long one its first 256 characters.',
  }),
  prefetch: z
    .object({
      desiredNodes: z.int().min(0).meta({ description: 'Nodes that are to have it.' }),
      readyNodes: z.int().min(0).meta({ description: 'Nodes among them that have it.' }),
    })
    .optional()
    .meta({ description: 'How far the prefetch is.' }),
  conditions: conditionsField,
})

type Source = z.infer<typeof specSchema>['source']

/** Secrets to read the source with. */
export const pullSecretsOf = ({ registry, file }: Source): { name: string }[] =>
  registry?.pullSecrets ?? file?.pullSecrets ?? []

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
  rules: [
    labelNameRule(63),
    {
      rule: '!has(self.spec.prefetch) || !has(self.spec.source.volume)',
      message: 'prefetch is for images that nodes fetch: leave it out with an image on a volume',
      fieldPath: '.spec.prefetch',
    },
  ],
  columns: [
    { name: 'Image', type: 'string', jsonPath: ".spec.source..['image','url','claimName']" },
    readyColumn,
    reasonColumn,
    { name: 'Digest', type: 'string', jsonPath: '.status.resolved.digest', priority: 10 },
    messageColumn,
    ageColumn,
  ],
}
