import { readFileSync, writeFileSync } from 'node:fs'
import * as z from 'zod/mini'
import { readJson } from '../node/json-file.ts'
import { containerPaths, type NodeLayout } from '../node/layout.ts'
import type { Invocation } from './args.ts'
import { type ProcessUser, processUserSchema } from './bundle.ts'

const processSchema = z.looseObject({ user: processUserSchema })

/** The process of `exec` runs as the user that `create` resolved: containerd knows only the placeholder's. */
const withUser = (process: z.infer<typeof processSchema>, user: ProcessUser) => ({
  ...process,
  user: { ...process.user, ...user },
})

export const patchExec = (layout: NodeLayout, { id, process }: Invocation): void => {
  if (process === undefined) return
  const user = readJson(containerPaths(layout, id).user, processUserSchema)
  if (user === undefined) return
  writeFileSync(process, JSON.stringify(withUser(processSchema.parse(JSON.parse(readFileSync(process, 'utf8'))), user)))
}
