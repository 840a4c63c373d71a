import * as z from 'zod'

const origin = z
  .string()
  .refine(
    (text) => URL.canParse(text) && new URL(text).origin === text,
    'must be as https://console.example, with no path',
  )

const environmentSchema = z.object({
  /** Of the API server. */
  KUBERNETES_SERVICE_HOST: z.string().min(1),
  KUBERNETES_SERVICE_PORT: z.coerce.number().int().min(1).max(65_535).default(443),
  /** File with its certificate authority. */
  CA_FILE: z.string().min(1),
  /** The page's files. */
  PAGE_DIR: z.string().min(1),
  /** Directory with tls.crt and tls.key, as a Secret of type kubernetes.io/tls is mounted; HTTP without. */
  TLS_DIR: z.string().min(1).optional(),
  PORT: z.coerce.number().int().min(0).max(65_535).default(9809),
  /** JSON: where the page is, where a proxy in front changes `Host`. */
  ORIGINS: z
    .string()
    .default('[]')
    .transform((text): unknown => JSON.parse(text))
    .pipe(z.array(origin)),
  LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error']).default('info'),
})

export interface Settings {
  apiServer: { host: string; port: number }
  caFile: string
  pageDir: string
  tlsDir: string | undefined
  port: number
  origins: string[]
  logLevel: z.infer<typeof environmentSchema>['LOG_LEVEL']
}

/** @throws ZodError naming each variable that is wrong */
export const readSettings = (environment: NodeJS.ProcessEnv): Settings => {
  const values = environmentSchema.parse(environment)
  return {
    apiServer: { host: values.KUBERNETES_SERVICE_HOST, port: values.KUBERNETES_SERVICE_PORT },
    caFile: values.CA_FILE,
    pageDir: values.PAGE_DIR,
    tlsDir: values.TLS_DIR,
    port: values.PORT,
    origins: values.ORIGINS,
    logLevel: values.LOG_LEVEL,
  }
}
