/**
 * Makes a root as `lamina-runtime create` does, runs a shell script in it, tells
 * how that went as one line of JSON on stdout, and holds the mounts until stdin
 * ends. Stands in for a container, without runc.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, readSync, writeSync } from 'node:fs'
import { z } from 'zod/mini'
import { openBase } from '../../runtime-shim/mount/base.ts'
import { openOverlays } from '../../runtime-shim/mount/overlays.ts'
import { mountRoot } from '../../runtime-shim/mount/root.ts'

const specSchema = z.object({
  target: z.string(),
  lockDir: z.string(),
  skeleton: z.string(),
  base: z.union([
    z.object({ kind: z.literal('file'), path: z.string() }),
    z.object({ kind: z.literal('below'), directory: z.string(), path: z.string(), shown: z.optional(z.string()) }),
  ]),
  /** Of the base. */
  digest: z.optional(z.string()),
  allowExt3: z.boolean(),
  overlays: z.array(
    z.object({
      name: z.string(),
      uid: z.string(),
      access: z.enum(['ReadWrite', 'ReadOnly']),
      volume: z.union([
        z.object({ kind: z.literal('directory'), path: z.string() }),
        z.object({ kind: z.literal('device'), mapPath: z.string(), major: z.number(), minor: z.number() }),
      ]),
      format: z.enum(['Image', 'Directory']),
      path: z.string(),
      leaves: z.optional(z.union([z.literal('any'), z.array(z.string())])),
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
  /** Of each overlay. */
  loops: z.array(z.nullable(z.object({ number: z.number(), diskseq: z.string() }))),
  devices: z.array(z.nullable(z.object({ major: z.number(), minor: z.number() }))),
  /** From the first descriptor opened to the last mount. */
  mountMs: z.number(),
  exitCode: z.number(),
  output: z.string(),
})
export type HeldRoot = z.infer<typeof heldRootSchema>

const hold = (spec: RootSpec): HeldRoot => {
  const { digest = 'sha256:0' } = spec
  mkdirSync(spec.target, { recursive: true })
  const started = performance.now()
  const mounted = mountRoot({
    target: spec.target,
    lockDir: spec.lockDir,
    ephemeral: spec.ephemeral,
    skeleton: openBase({ kind: 'file', path: spec.skeleton }, { allowExt3: false }),
    base: { ...openBase(spec.base, spec), recorded: { reference: `example/base@${digest}`, digest } },
    overlays: openOverlays(spec.overlays, spec.waitMs),
    mountLabel: '',
  })
  const mountMs = performance.now() - started
  const { status, stdout, stderr } = spawnSync('sh', ['-c', spec.script], { cwd: spec.target, encoding: 'utf8' })
  return {
    loops: mounted.map(({ loop }) => loop),
    devices: mounted.map(({ device }) => device),
    mountMs,
    exitCode: status ?? 255,
    output: `${stdout}${stderr}`,
  }
}

const attempt = (spec: RootSpec): HeldRoot => {
  try {
    return hold(spec)
  } catch (error) {
    return { error: `${error}`, loops: [], devices: [], mountMs: 0, exitCode: 255, output: '' }
  }
}

if (import.meta.main) {
  const result = attempt(specSchema.parse(JSON.parse(process.argv[2] ?? '')))
  writeSync(1, `${JSON.stringify(result)}\n`)
  while (readSync(0, Buffer.alloc(1)) > 0);
}
