import type { V1Container, V1PodSpec } from '@kubernetes/client-node'
import * as z from 'zod'
import { objectMetadataSchema } from '../kube/resource.ts'
import {
  ageColumn,
  conditionsField,
  digestField,
  type KindDefinition,
  labelNameRule,
  messageColumn,
  nameOfOurs,
  objectName,
  observedGenerationField,
  type Rule,
  readyColumn,
  reasonColumn,
  runningColumn,
} from './common.ts'

/** A field whose schema is Kubernetes' own: the API server has checked it, under the schema named by `kubernetes`. */
const container = <Field extends keyof V1Container>(field: Field, description: string) =>
  z
    .custom<V1Container[Field]>()
    .optional()
    .meta({ kubernetes: `Container.${field}`, description })

/** The field's schema is Kubernetes', which takes any word. */
const quantitiesRule = (field: 'limits' | 'requests'): Rule => ({
  rule: `!has(self.${field}) || self.${field}.all(name, type(self.${field}[name]) == int || isQuantity(self.${field}[name]))`,
  message: `resources.${field} must be quantities: 500m or 2 of cpu, 512Mi or 4Gi of memory`,
  fieldPath: `.${field}`,
})

/** With less a pod stays without a word, as it cannot even hold its own token. */
const memoryRule: Rule = {
  rule: "!has(self.limits) || !('memory' in self.limits) || (type(self.limits['memory']) == int ? int(self.limits['memory']) >= 1048576 : !isQuantity(self.limits['memory']) || quantity(self.limits['memory']).compareTo(quantity('1Mi')) >= 0)",
  message: 'resources.limits.memory must be at least 1Mi, such as 512Mi (m means thousandths of a byte)',
  fieldPath: '.limits',
}

/** PodTemplateSpec with nothing required but what names a list's item: it is laid over the pod that we make. */
export interface PodTemplate {
  metadata?: { labels?: Record<string, string>; annotations?: Record<string, string> }
  spec?: Partial<V1PodSpec>
}

/** About 68 years: times stay dates that every program can read. */
const longestSeconds = 2 ** 31 - 1

const overlayUse = z.object({
  name: z
    .string()
    .min(1)
    .max(54)
    .meta({
      description: 'Name of the PersistentOverlay.',
      rules: [nameOfOurs('overlays[].name', 'PersistentOverlay')],
    }),
  access: z
    .enum(['ReadWrite', 'ReadOnly'])
    .default('ReadWrite')
    .meta({ description: 'ReadWrite keeps what is written; ReadOnly adds a layer that others may share.' }),
  base: z.enum(['Keep', 'Follow']).optional().meta({
    description:
      'When the image is another than the one that the overlay lies upon. Keep (when left out): the instance stays on that one. Follow: at its next start the overlay goes over to the new one; what it has of the old, package databases among it, hides what is new there.',
  }),
})

const specSchema = z.object({
  imageRef: z
    .object({
      name: z
        .string()
        .min(1)
        .max(63)
        .meta({
          description: 'Name of the ContainerImage.',
          rules: [nameOfOurs('imageRef.name', 'ContainerImage')],
        }),
    })
    .meta({ description: 'The image it runs on.' }),
  overlays: z
    .array(overlayUse)
    .max(8)
    .default([])
    .meta({
      listMapKey: 'name',
      description: 'Overlays on top of the image, in order: later ReadOnly ones lie higher, the ReadWrite one on top.',
      rules: [
        {
          rule: "self.filter(o, o.access == 'ReadWrite').size() <= 1",
          message: 'at most one overlay can be ReadWrite: set access: ReadOnly on the others',
        },
        {
          rule: "self.all(o, o.access == 'ReadWrite' || !has(o.base) || o.base == 'Keep')",
          message: 'base: Follow is for the overlay that is written: leave it out with access: ReadOnly',
        },
      ],
    }),
  ephemeral: z
    .object({
      sizeLimit: z
        .string()
        .max(32)
        .optional()
        .meta({
          description:
            "Most that it may hold, as a quantity; when left out, what the node's disk or memory has. In memory writes fail there; on disk the kubelet evicts the pod some seconds later.",
          rules: [
            {
              rule: "isQuantity(self) && quantity(self).compareTo(quantity('1Mi')) >= 0 && quantity(self).isLessThan(quantity('8Ei'))",
              message: 'sizeLimit must be a quantity of at least 1Mi and below 8Ei, such as 2Gi (m means thousandths)',
            },
          ],
        }),
      medium: z.enum(['Disk', 'Memory']).default('Disk').meta({ description: 'Where it is kept.' }),
    })
    .optional()
    .meta({ description: 'The throw-away layer of an instance without a ReadWrite overlay; empty at each start.' }),
  state: z.enum(['Running', 'Stopped']).default('Running').meta({ description: 'Whether it should run.' }),
  restartPolicy: z
    .enum(['Always', 'OnFailure', 'Never'])
    .default('Always')
    .meta({ description: 'When its process is started again after its end.' }),
  updatePolicy: z.enum(['OnRestart', 'Recreate']).default('OnRestart').meta({
    description:
      'When a changed spec or image is taken: OnRestart waits until the process does not run, Recreate replaces the pod at once. An overlay keeps its base either way.',
  }),
  idleTimeoutSeconds: z.int().min(30).max(longestSeconds).optional().meta({
    description:
      'Stops it when nobody has used it for so long: no process by exec and hardly any CPU, as its node sees it. A new value of the annotation lamina.dev/start-requested starts it again.',
  }),
  activeDeadlineSeconds: z.int().min(1).max(longestSeconds).optional().meta({
    description:
      'Ends it for good so long after its first start, as Failed; the time in which it is stopped starts anew.',
  }),
  ttlSecondsAfterFinished: z.int().min(0).max(longestSeconds).optional().meta({
    description:
      'Deletes the Instance itself so long after it has finished: completed, failed, or past its deadline. Overlays stay.',
  }),
  entrypoint: z.enum(['Idle', 'Image']).optional().meta({
    description:
      "What runs when command and args are left out: Idle waits to be exec'd into (default with Always), Image runs the image's own.",
  }),
  command: z
    .array(z.string().max(32_768))
    .max(512)
    .optional()
    .meta({
      description: "Replaces the image's entrypoint.",
      rules: [
        {
          rule: "self.size() > 0 && self[0] != ''",
          message: "command must begin with a program: leave it out for the image's own",
        },
      ],
    }),
  args: z.array(z.string().max(32_768)).max(512).optional().meta({ description: "Replaces the image's command." }),
  env: container('env', "Environment, over the image's."),
  envFrom: container('envFrom', 'Environment from ConfigMaps and Secrets.'),
  workingDir: z
    .string()
    .max(4096)
    .optional()
    .meta({
      description: "Working directory, a path from the root; the image's when left out.",
      rules: [
        {
          rule: "self == '' || self.matches('^/[^\\\\x00-\\\\x1f\\\\x7f]*$')",
          message: 'workingDir must be a path from the root, without control characters: /home/me',
        },
      ],
    }),
  ports: container('ports', 'Ports that it listens on.'),
  service: z
    .object({
      type: z.enum(['ClusterIP', 'NodePort', 'LoadBalancer']).default('ClusterIP').meta({
        description: 'Where it can be reached from, as of any Service.',
      }),
    })
    .optional()
    .meta({
      description: "Asks for a Service of the instance's name with its ports; it stays while the instance is stopped.",
    }),
  resources: container('resources', 'Requests and limits; fractions in quotes ("0.5").').meta({
    mostKeys: { limits: 16, requests: 16 },
    rules: [quantitiesRule('limits'), quantitiesRule('requests'), memoryRule],
  }),
  volumes: z
    .custom<V1PodSpec['volumes']>()
    .optional()
    .meta({ kubernetes: 'PodSpec.volumes', description: 'Further volumes.' }),
  volumeMounts: container('volumeMounts', 'Where they are mounted.'),
  podTemplate: z
    .custom<PodTemplate>()
    .optional()
    .meta({
      kubernetes: 'PodTemplateSpec',
      description: 'Laid over the pod that is made; the container of the instance is "main", lists merge by name.',
      rules: [
        {
          rule: '!has(self.spec) || !has(self.spec.runtimeClassName)',
          message: 'runtimeClassName is set by Lamina: leave it out',
          fieldPath: '.spec.runtimeClassName',
        },
        {
          rule: '!has(self.spec) || !has(self.spec.nodeName)',
          message: 'nodeName would pass the scheduler by: use nodeSelector or affinity',
          fieldPath: '.spec.nodeName',
        },
        {
          rule: '!has(self.spec) || !has(self.spec.hostUsers) || self.spec.hostUsers',
          message: 'hostUsers: false is not possible: an overlay would keep shifted owners',
          fieldPath: '.spec.hostUsers',
        },
        {
          rule: '!has(self.spec) || !has(self.spec.restartPolicy)',
          message: 'set spec.restartPolicy of the Instance, not of its podTemplate',
          fieldPath: '.spec.restartPolicy',
        },
      ],
    }),
})

const time = (description: string) => z.string().optional().meta({ format: 'date-time', description })

const statusSchema = z.object({
  observedGeneration: observedGenerationField,
  pod: z
    .object({
      name: objectName.meta({ description: 'Its name, which is the name of the instance.' }),
      uid: z.string().max(64).meta({ description: 'Its uid: no other pod of this name may mount.' }),
      nodeName: z.string().max(253).optional().meta({ description: 'The node it runs on.' }),
      templateHash: z.string().max(64).optional().meta({ description: 'Hash of the spec that the pod was made from.' }),
    })
    .optional()
    .meta({ description: 'The pod that may mount; written before it does.' }),
  image: z
    .object({
      reference: z.string().max(2048).meta({ description: 'repository@digest of the image.' }),
      digest: digestField('Digest of the image manifest.'),
    })
    .optional()
    .meta({ description: 'The image that the pod runs on.' }),
  overlays: z
    .array(
      z.object({
        name: z.string().max(54).meta({ description: 'Name of the PersistentOverlay.' }),
        uid: z.string().max(64).meta({ description: 'Its uid: another overlay of this name may not be mounted.' }),
        access: z.enum(['ReadWrite', 'ReadOnly']).meta({ description: 'How it may be mounted.' }),
      }),
    )
    .max(8)
    .optional()
    .meta({ listMapKey: 'name', description: 'The overlays that the pod may mount.' }),
  lastTermination: z
    .object({
      exitCode: z.int().meta({ description: 'Its exit code; 128 and the number of the signal that ended it.' }),
      reason: z.string().max(1024).optional().meta({ description: 'Why, in one word: Completed, Error, OOMKilled.' }),
      message: z.string().max(32_768).optional().meta({ description: 'What the kubelet said of it.' }),
      finishTime: time('When it ended.'),
    })
    .optional()
    .meta({ description: 'How its process last ended.' }),
  restarts: z.int().min(0).optional().meta({ description: 'Restarts of the container in its present pod.' }),
  startTime: time('When its process last started.'),
  firstStartTime: time(
    'When its process first started since it was last asked to run: activeDeadlineSeconds counts from here.',
  ),
  finishTime: time('When it finished: ttlSecondsAfterFinished counts from here.'),
  backoff: z
    .object({
      podUID: z.string().max(64).meta({ description: 'The last pod that ended by itself.' }),
      count: z
        .int()
        .min(1)
        .meta({ description: 'How many did, one after the other, none of which ran for ten minutes.' }),
      retryTime: z.string().meta({ format: 'date-time', description: 'When the next pod is made.' }),
    })
    .optional()
    .meta({ description: 'Pods that ended by themselves, and when the next is made.' }),
  startRequest: z
    .object({
      token: z.string().max(253).meta({ description: 'Value of the annotation lamina.dev/start-requested.' }),
      time: z.string().meta({ format: 'date-time', description: 'When the controller saw it first.' }),
    })
    .optional()
    .meta({ description: 'The last request to start it that was seen, and followed.' }),
  idleStop: z
    .object({
      idleSince: z.string().meta({ format: 'date-time', description: 'Since when nobody had used it.' }),
      stopTime: z.string().meta({ format: 'date-time', description: 'When it was stopped for that.' }),
      seen: z.string().max(1024).meta({ description: 'What its node saw of it.' }),
    })
    .optional()
    .meta({ description: 'Why it is stopped although state is Running: idleTimeoutSeconds.' }),
  conditions: conditionsField,
})

export const instanceSchema = z.object({
  metadata: objectMetadataSchema,
  spec: specSchema,
  status: statusSchema.default({}),
})
export type Instance = z.infer<typeof instanceSchema>
export type InstanceStatus = z.infer<typeof statusSchema>
export type InstanceSpec = Instance['spec']
export type Backoff = NonNullable<InstanceStatus['backoff']>
export type OverlayUse = z.infer<typeof overlayUse>

export const instance: KindDefinition = {
  kind: 'Instance',
  plural: 'instances',
  singular: 'instance',
  shortName: 'inst',
  description: 'A running container: an image, overlays on top, and a process.',
  spec: specSchema,
  status: statusSchema,
  rules: [
    labelNameRule(63),
    {
      rule: "!has(self.spec.ephemeral) || !has(self.spec.overlays) || self.spec.overlays.all(o, o.access == 'ReadOnly')",
      message: 'ephemeral is for an instance without a ReadWrite overlay: leave one of the two out',
      fieldPath: '.spec.ephemeral',
    },
    {
      rule: '!has(self.spec.entrypoint) || (!has(self.spec.command) && !has(self.spec.args))',
      message: 'entrypoint says what runs without command and args: leave it out, or those',
      fieldPath: '.spec.entrypoint',
    },
    {
      rule: '!has(self.spec.service) || (has(self.spec.ports) && self.spec.ports.size() > 0)',
      message: 'a service needs ports: name them in spec.ports',
      fieldPath: '.spec.service',
    },
  ],
  columns: [
    { name: 'Image', type: 'string', jsonPath: '.spec.imageRef.name' },
    readyColumn,
    runningColumn,
    reasonColumn,
    { name: 'Exit', type: 'integer', jsonPath: '.status.lastTermination.exitCode' },
    { name: 'Node', type: 'string', jsonPath: '.status.pod.nodeName', priority: 10 },
    messageColumn,
    ageColumn,
  ],
}
