import { stringify } from 'smol-toml'
import { handlerName } from './handler-config.ts'
import type { HostFiles } from './host-files.ts'
import { type CrioConfig, type CrioHandler, parseCrio } from './toml.ts'

/** How CRI-O is told of the handler. */

export const crioFile = '99-lamina.conf'

/** What is the default runtime's own, or would let pods decide what is mounted. */
const notShared = new Set([
  'runtime_path',
  'runtime_type',
  'runtime_config_path',
  'platform_runtime_paths',
  'inherit_default_runtime',
  'allowed_annotations',
])

/** All of CRI-O's files, in the order in which it reads them: later ones win. */
export const readCrio = (files: HostFiles, config: string, configDir: string): CrioConfig[] => {
  const paths = [config, ...files.glob(`${configDir}/*`).filter((path) => !path.endsWith(`/${crioFile}`))]
  return paths.flatMap((path) => {
    const text = files.read(path)
    return text === undefined ? [] : [parseCrio(text, path)]
  })
}

/** @param name of the default runtime, as CRI-O itself says */
export const defaultHandler = (configs: readonly CrioConfig[], name: string): CrioHandler | undefined =>
  configs.map(({ crio }) => crio?.runtime?.runtimes[name]).findLast((handler) => handler !== undefined)

/** From `crio config`, which puts a # before what is a default. */
export const defaultRuntimeIn = (dump: string): string =>
  /^\s*(?:#\s*)?default_runtime = "([^"]*)"$/m.exec(dump)?.[1] || 'runc'

export const knowsHandler = (dump: string, launcher: string): boolean => {
  const table = dump.split(`[crio.runtime.runtimes.${handlerName}]`)[1]?.split('\n\n')[0] ?? ''
  return new RegExp(`^\\s*(?:#\\s*)?runtime_path = "${RegExp.escape(launcher)}"$`, 'm').test(table)
}

/** The file of ours: like the default runtime in all but the program, and without annotations that change what is run. */
export const crioDropIn = (ordinary: CrioHandler | undefined, launcher: string): string => {
  const shared = Object.fromEntries(Object.entries(ordinary ?? {}).filter(([name]) => !notShared.has(name)))
  const handler = { runtime_path: launcher, runtime_type: 'oci', ...shared }
  return `# Written by Lamina's node agent.\n${stringify({ crio: { runtime: { runtimes: { [handlerName]: handler } } } })}`
}

/** PATH of what conmon starts. */
export const monitorPath = (ordinary: CrioHandler | undefined): string | undefined => {
  const entries: unknown[] = Array.isArray(ordinary?.monitor_env) ? ordinary.monitor_env : []
  return entries
    .filter((entry) => typeof entry === 'string')
    .find((entry) => entry.startsWith('PATH='))
    ?.slice('PATH='.length)
}
