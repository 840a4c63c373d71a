import * as z from 'zod'
import { type AllowedSources, allowedSourcesField } from '../kube/allowed-sources.ts'

const overheadSchema = z.object({
  default: z.number().min(0).max(0.9).default(0.06),
  classes: z.record(z.string(), z.number().min(0).max(0.9)).default({}),
})

const environmentSchema = z.object({
  /** Image of the instances' placeholder containers and of `prepare`: the operator's own. */
  PLACEHOLDER_IMAGE: z.string().min(1),
  /** JSON: share of a volume that its file system keeps for itself, by StorageClass. */
  STORAGE_OVERHEAD: z
    .string()
    .default('{}')
    .transform((text): unknown => JSON.parse(text))
    .pipe(overheadSchema),
  ALLOWED_SOURCES: allowedSourcesField,
  /** The controller's own Deployment, which shows how the installation is. */
  DEPLOYMENT_NAME: z.string().min(1).optional(),
  /** JSON: names of the admission policies that are to be in force. */
  ADMISSION_POLICIES: z
    .string()
    .default('[]')
    .transform((text): unknown => JSON.parse(text))
    .pipe(z.array(z.string().min(1))),
  POD_NAME: z.string().default('controller'),
  POD_NAMESPACE: z.string().default('lamina-system'),
  PORT: z.coerce.number().int().min(0).max(65_535).default(9807),
  /** A writable directory for skopeo. */
  SCRATCH_DIR: z.string().default('/tmp'),
  LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error']).default('info'),
})

export interface Settings {
  placeholderImage: string
  storageOverhead: z.infer<typeof overheadSchema>
  allowedSources: AllowedSources
  /** Undefined where no Deployment runs the controller. */
  deployment: string | undefined
  admissionPolicies: string[]
  identity: string
  namespace: string
  port: number
  scratchDir: string
  logLevel: z.infer<typeof environmentSchema>['LOG_LEVEL']
}

/** @throws ZodError naming each variable that is wrong */
export const readSettings = (environment: NodeJS.ProcessEnv): Settings => {
  const values = environmentSchema.parse(environment)
  return {
    placeholderImage: values.PLACEHOLDER_IMAGE,
    storageOverhead: values.STORAGE_OVERHEAD,
    allowedSources: values.ALLOWED_SOURCES,
    deployment: values.DEPLOYMENT_NAME,
    admissionPolicies: values.ADMISSION_POLICIES,
    identity: values.POD_NAME,
    namespace: values.POD_NAMESPACE,
    port: values.PORT,
    scratchDir: values.SCRATCH_DIR,
    logLevel: values.LOG_LEVEL,
  }
}
