/**
 * Makes a root as `lamina-runtime create` does, runs a shell script in it, tells
 * how that went as one line of JSON on stdout, and holds the mounts until stdin
 * ends. Stands in for a container, without runc.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, readSync, writeSync } from 'node:fs'
import { z } from 'zod/mini'
import { openOverlays, openSquashfs } from '../../runtime-shim/mount/images.ts'
import { mountRoot } from '../../runtime-shim/mount/root.ts'

const specSchema = z.object({
  target: z.string(),
  lockDir: z.string(),
  skeleton: z.string(),
  base: z.string(),
  overlays: z.array(
    z.object({
      name: z.string(),
      uid: z.string(),
      access: z.enum(['ReadWrite', 'ReadOnly']),
      directory: z.string(),
    }),
  ),
  ephemeral: z.optional(z.string()),
  waitMs: z.number(),
  /** Run by the host's `sh` in the root's directory. */
  script: z.string(),
})
export type RootSpec = z.infer<typeof specSchema>

export const heldRootSchema = z.object({
  error: z.optional(z.string()),
  loops: z.array(z.object({ number: z.number(), diskseq: z.string() })),
  exitCode: z.number(),
  output: z.string(),
})
export type HeldRoot = z.infer<typeof heldRootSchema>

const hold = (spec: RootSpec): HeldRoot => {
  mkdirSync(spec.target, { recursive: true })
  const parts = {
    ...spec,
    ephemeral: spec.ephemeral,
    skeleton: { fd: openSquashfs(spec.skeleton), path: spec.skeleton },
    base: { fd: openSquashfs(spec.base), path: spec.base, reference: 'example/base@sha256:0', digest: 'sha256:0' },
    overlays: openOverlays(spec.overlays, spec.waitMs),
    mountLabel: '',
  }
  const loops = mountRoot(parts).map(({ loop }) => loop)
  const { status, stdout, stderr } = spawnSync('sh', ['-c', spec.script], { cwd: spec.target, encoding: 'utf8' })
  return { loops, exitCode: status ?? 255, output: `${stdout}${stderr}` }
}

const attempt = (spec: RootSpec): HeldRoot => {
  try {
    return hold(spec)
  } catch (error) {
    return { error: `${error}`, loops: [], exitCode: 255, output: '' }
  }
}

if (import.meta.main) {
  const result = attempt(specSchema.parse(JSON.parse(process.argv[2] ?? '')))
  writeSync(1, `${JSON.stringify(result)}\n`)
  while (readSync(0, Buffer.alloc(1)) > 0);
}
