import { parse } from 'smol-toml'
import * as z from 'zod'
import { RefusedError } from './refused.ts'

/** What the installer reads of the configuration files of container runtimes; all else is left as it is. */

const values = z.record(z.string(), z.unknown())

const handlerSchema = z.looseObject({ runtime_type: z.string().default(''), options: values.default(() => ({})) })
export type Handler = z.infer<typeof handlerSchema>

const handlers = z.record(z.string(), handlerSchema).default(() => ({}))

const criSchema = z.looseObject({
  containerd: z
    .looseObject({ default_runtime_name: z.string().default(''), runtimes: handlers })
    .default(() => ({ default_runtime_name: '', runtimes: {} })),
})

const containerdSchema = z.looseObject({
  version: z.number().optional(),
  imports: z.array(z.string()).default(() => []),
  grpc: z.looseObject({ address: z.string().optional() }).optional(),
  plugins: values.default(() => ({})),
})
/** A configuration of containerd, or its dump of one. */
export type ContainerdConfig = z.infer<typeof containerdSchema>

const parseAs = <T>(schema: z.ZodType<T>, text: string, what: string): T => {
  try {
    return schema.parse(parse(text))
  } catch (error) {
    const why = error instanceof z.ZodError ? z.prettifyError(error) : String(error)
    throw new RefusedError(`cannot read ${what}: ${why}`, { cause: error })
  }
}

/** @throws RefusedError naming `what` */
export const parseContainerd = (text: string, what: string): ContainerdConfig => parseAs(containerdSchema, text, what)

const serverSchema = z.looseObject({ address: z.string() })

/** Where it listens; undefined for the default. */
export const addressOf = ({ grpc, plugins }: ContainerdConfig): string | undefined =>
  // From version 4 on the second.
  grpc?.address || serverSchema.safeParse(plugins['io.containerd.server.v1.grpc']).data?.address

/** The plugin that keeps handlers, by version of the configuration; without a version it is the first. */
export const pluginOf = (version: number | undefined): string => {
  if (version === undefined || version <= 1) return 'cri'
  return version === 2 ? 'io.containerd.grpc.v1.cri' : 'io.containerd.cri.v1.runtime'
}

/** What it says of CRI's handlers; undefined when it has nothing of that plugin. */
export const criOf = ({ version, plugins }: ContainerdConfig): z.infer<typeof criSchema> | undefined => {
  const parsed = criSchema.safeParse(plugins[pluginOf(version)])
  return parsed.success ? parsed.data : undefined
}

const crioHandlerSchema = z.looseObject({
  runtime_path: z.string().default(''),
  runtime_type: z.string().default(''),
  runtime_root: z.string().optional(),
})
export type CrioHandler = z.infer<typeof crioHandlerSchema>

const crioSchema = z.looseObject({
  crio: z
    .looseObject({
      api: z.looseObject({ listen: z.string().optional() }).optional(),
      runtime: z
        .looseObject({
          default_runtime: z.string().optional(),
          runtimes: z.record(z.string(), crioHandlerSchema).default(() => ({})),
        })
        .optional(),
    })
    .optional(),
})
export type CrioConfig = z.infer<typeof crioSchema>

/** @throws RefusedError naming `what` */
export const parseCrio = (text: string, what: string): CrioConfig => parseAs(crioSchema, text, what)
