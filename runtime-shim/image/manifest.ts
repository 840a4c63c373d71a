import * as z from 'zod'

/** OCI image-spec v1.1 and Docker's schema 2, which have the same shape for what is read here. */

const digest = z.string().regex(/^(sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128})$/)

const descriptor = z.object({ mediaType: z.string().optional(), digest, size: z.number().min(0) })

const platformField = z.object({
  os: z.string(),
  architecture: z.string(),
  variant: z.string().optional(),
})

export const indexSchema = z.object({
  schemaVersion: z.literal(2),
  manifests: z.array(descriptor.extend({ platform: platformField.optional() })),
})
export type ImageIndex = z.infer<typeof indexSchema>

export const manifestSchema = z.object({
  schemaVersion: z.literal(2),
  config: descriptor,
  layers: z.array(descriptor),
})
export type ImageManifest = z.infer<typeof manifestSchema>

const strings = z.array(z.string()).nullish()

/** The image configuration: https://github.com/opencontainers/image-spec/blob/main/config.md */
export const imageConfigurationSchema = z.object({
  os: z.string().default(''),
  architecture: z.string().default(''),
  variant: z.string().optional(),
  config: z
    .object({
      Entrypoint: strings,
      Cmd: strings,
      Env: strings,
      User: z.string().nullish(),
      WorkingDir: z.string().nullish(),
      StopSignal: z.string().nullish(),
    })
    .nullish(),
  rootfs: z.object({ diff_ids: z.array(digest).nullish() }),
})
export type ImageConfiguration = z.infer<typeof imageConfigurationSchema>

/** Compressed size of all layers, in bytes. */
export const layersSize = ({ layers }: ImageManifest): number => layers.reduce((sum, { size }) => sum + size, 0)
