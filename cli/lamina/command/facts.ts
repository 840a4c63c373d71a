import { accessSync, constants, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import * as z from 'zod/mini'
import { hasCode } from '../../../runtime-shim/mount/error-code.ts'
import { configPath } from '../image/config-files.ts'
import type { RootFacts, RunConfig } from './choose.ts'

/** Looks around in the root that this process has entered. */

const isExecutable = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}

const isThere = (path: string): boolean => statSync(path, { throwIfNoEntry: false }) !== undefined

const configSchema = z.object({
  entrypoint: z._default(z.array(z.string()), []),
  cmd: z._default(z.array(z.string()), []),
  env: z._default(z.array(z.string()), []),
})

const longestConfig = 2 ** 20

const readConfig = (): RunConfig | undefined => {
  try {
    if (statSync(configPath).size > longestConfig) return undefined
    return configSchema.safeParse(JSON.parse(readFileSync(configPath, 'utf8'))).data
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR') || error instanceof SyntaxError) return undefined
    throw error
  }
}

const environment = (): RootFacts['environment'] => {
  if (isThere('/.singularity.d/env')) return 'scripts'
  return isThere('/environment') ? 'file' : undefined
}

export const lookAround = (): RootFacts => ({
  config: readConfig(),
  environment: environment(),
  runscript: ['/.singularity.d/runscript', '/singularity'].find(isExecutable),
  startscript: ['/.singularity.d/startscript'].find(isExecutable),
  shell: ['/bin/bash', '/bin/sh'].find(isExecutable),
  hasSh: isExecutable('/bin/sh'),
})

/** Where a program is, by the container's PATH; as it is where it names a path. Undefined where it is not to be found. */
export const findProgram = (name: string, path: string): string | undefined =>
  name.includes('/') ? name : path.split(':').map((dir) => join(dir, name)).find(isExecutable)
