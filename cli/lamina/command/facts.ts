import { accessSync, closeSync, constants, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import * as z from 'zod/mini'
import { hasCode } from '../../../runtime-shim/mount/error-code.ts'
import { descriptorPath } from '../../../runtime-shim/mount/open.ts'
import { O_PATH, openat2, resolve } from '../../../runtime-shim/mount/syscalls.ts'
import { configPath } from '../image/config-files.ts'
import type { RootFacts, RunConfig } from './choose.ts'

/** Looks around in a root that is open, as a process inside would see it. */

/** What `act` makes of a place in the root; undefined where there is none. */
const at = <T>(root: number, path: string, act: (path: string) => T): T | undefined => {
  let fd: number
  try {
    fd = openat2(root, path, O_PATH, resolve.inRoot)
  } catch (error) {
    // EXDEV: a link of /proc leads out of the root.
    if (hasCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'EACCES', 'EXDEV')) return undefined
    throw error
  }
  try {
    return act(descriptorPath(fd))
  } finally {
    closeSync(fd)
  }
}

const isExecutable = (root: number, path: string): boolean =>
  at(root, path, (found) => {
    if (!statSync(found).isFile()) return false
    try {
      accessSync(found, constants.X_OK)
      return true
    } catch {
      return false
    }
  }) === true

export const isDirectoryIn = (root: number, path: string): boolean =>
  at(root, path, (found) => statSync(found).isDirectory()) === true

const isThere = (root: number, path: string): boolean => at(root, path, () => true) === true

const configSchema = z.object({
  entrypoint: z._default(z.array(z.string()), []),
  cmd: z._default(z.array(z.string()), []),
  env: z._default(z.array(z.string()), []),
})

const longestConfig = 2 ** 20

const parseConfig = (text: string): RunConfig | undefined => {
  try {
    return configSchema.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}

const readConfig = (root: number): RunConfig | undefined =>
  at(root, configPath, (found) => {
    const stats = statSync(found)
    // A FIFO would be waited for, and a device of the machine would act.
    return stats.isFile() && stats.size <= longestConfig ? parseConfig(readFileSync(found, 'utf8')) : undefined
  })

const environment = (root: number): RootFacts['environment'] => {
  if (isThere(root, '/.singularity.d/env')) return 'scripts'
  return isThere(root, '/environment') ? 'file' : undefined
}

export const lookAround = (root: number): RootFacts => {
  const first = (...paths: string[]): string | undefined => paths.find((path) => isExecutable(root, path))
  return {
    config: readConfig(root),
    environment: environment(root),
    runscript: first('/.singularity.d/runscript', '/singularity'),
    startscript: first('/.singularity.d/startscript'),
    shell: first('/bin/bash', '/bin/sh'),
    hasSh: first('/bin/sh') !== undefined,
  }
}

/** Where a program is, by the container's PATH; as it is where it names a path. Undefined where it is not to be found. */
export const findProgram = (root: number, name: string, path: string): string | undefined =>
  name.includes('/')
    ? name
    : path
        .split(':')
        .map((dir) => join(dir, name))
        .find((candidate) => isExecutable(root, candidate))
