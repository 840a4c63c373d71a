import { basename, dirname, join } from 'node:path'
import { withoutBlock } from './block.ts'
import { handlerFrom, handlerName, handlerTables, impliedHandlers } from './handler-config.ts'
import type { NodeRuntime } from './node-runtime.ts'
import { type ContainerdConfig, criOf, parseContainerd } from './toml.ts'

/** One way to tell containerd of the handler. */
export interface Edit {
  path: string
  /** `file`: the whole file is ours. `block`: our text goes to the end of somebody else's file. */
  as: 'file' | 'block'
  content: string
  /** The handler's tables alone. */
  tables: string
  /** What a file that is not there begins with; with nothing else than this it is ours too. */
  basis: string
  /**
   * The file that containerd will read it in, where the distribution makes that
   * file from ours only at a restart. Undefined: containerd reads `path` itself.
   */
  renderedIn: string | undefined
}

/** Files of the host as the plan needs them. */
export interface HostView {
  read(path: string): string | undefined
  /** Files that match a pattern with stars in its last part, in the order of their names. */
  glob(pattern: string): string[]
}

const ownFile = 'lamina.toml'
const header = "# Written by Lamina's node agent.\n"
const k3sBasis = `{{/* Written by Lamina's node agent. */}}{{ template "base" . }}\n`
const emptyConfig = (version: number): string => `${header}version = ${version}\n`
/** Files with nothing but this are ours. */
export const bareBases: ReadonlySet<string> = new Set([k3sBasis, emptyConfig(2), emptyConfig(3)])

const versionLine = (version: number | undefined): string => (version === undefined ? '' : `version = ${version}\n`)

const absolute = (pattern: string, config: string): string =>
  pattern.startsWith('/') ? pattern : join(dirname(config), pattern)

interface Plan {
  runtime: NodeRuntime
  view: HostView
  /** The main configuration as it is; undefined where the file is not there. */
  main: ContainerdConfig | undefined
  dump: ContainerdConfig
  launcher: string
}

/** @param to the configuration that has CRI's settings */
const tablesFor = ({ dump, launcher }: Plan, version: number | undefined, to: ContainerdConfig | undefined): string =>
  handlerTables({ ...impliedHandlers(dump, to), [handlerName]: handlerFrom(dump, launcher) }, version)

const file = (plan: Plan, path: string, version: number | undefined, to: ContainerdConfig | undefined): Edit => {
  const tables = tablesFor(plan, version, to)
  const content = `${header}${versionLine(version)}\n${tables}`
  return { path, as: 'file', content, tables, basis: '', renderedIn: undefined }
}

const block = (plan: Plan, path: string, version: number | undefined, to: ContainerdConfig | undefined): Edit => {
  const tables = tablesFor(plan, version, to)
  return { path, as: 'block', content: tables, tables, basis: '', renderedIn: undefined }
}

/** containerd 1 takes an imported table instead of its own, whole: what else the administrator says would be lost, now or later. */
const mergesImports = ({ dump }: Plan): boolean => (dump.version ?? 0) >= 3

/** A file of our own, in a folder whose files containerd imports. */
const importedFiles = (plan: Plan): Edit[] => {
  const { runtime, main } = plan
  if (main === undefined || !mergesImports(plan)) return []
  const folders = main.imports
    .map((pattern) => absolute(pattern, runtime.config))
    .filter((pattern) => basename(pattern) === '*.toml' && !dirname(pattern).includes('*'))
    .map((pattern) => dirname(pattern))
  return folders.map((dir) => file(plan, join(dir, ownFile), main.version, main))
}

/** Files with CRI's settings, the one that counts last first. */
const criFiles = ({ runtime, view, main }: Plan): { path: string; config: ContainerdConfig }[] => {
  const imported = (main?.imports ?? []).flatMap((pattern) => view.glob(absolute(pattern, runtime.config)))
  return imported.toReversed().flatMap((path) => {
    const text = basename(path) === ownFile ? undefined : view.read(path)
    const parsed = text === undefined ? undefined : parseContainerd(withoutBlock(text), path)
    const config = parsed && { ...parsed, version: parsed.version ?? main?.version }
    return config && criOf(config) ? [{ path, config }] : []
  })
}

/** In files that the administrator keeps. */
const blocks = (plan: Plan): Edit[] => {
  const { runtime, main, dump } = plan
  const elsewhere = criFiles(plan).map(({ path, config }) => block(plan, path, config.version, config))
  if (main) return [...elsewhere, block(plan, runtime.config, main.version, main)]
  const version = Math.min(dump.version ?? 2, 3)
  return [{ ...block(plan, runtime.config, version, undefined), basis: emptyConfig(version) }]
}

/** What k3s and RKE2 make their configuration from: Go templates, of which the first that is there counts. */
const k3sTemplate = (plan: Plan): Edit => {
  const { runtime, view, main } = plan
  const dir = dirname(runtime.config)
  const [v3 = '', v2 = ''] = ['config-v3.toml.tmpl', 'config.toml.tmpl'].map((name) => join(dir, name))
  const path = [v3, v2].find((each) => view.read(each) !== undefined) ?? ((main?.version ?? 0) >= 3 ? v3 : v2)
  return { ...block(plan, path, main?.version, main), basis: k3sBasis, renderedIn: runtime.config }
}

/** k0s 1.35 and older merge these files themselves, into one that containerd imports. */
const k0sFile = (plan: Plan): Edit => {
  const [criFile] = criFiles(plan)
  const config = criFile?.config ?? plan.main
  const path = join(dirname(plan.runtime.config), 'containerd.d', ownFile)
  return { ...file(plan, path, config?.version, config), renderedIn: criFile?.path ?? plan.runtime.config }
}

/** Ways to tell this containerd of the handler, the best first. */
export const editsFor = (plan: Plan): Edit[] => {
  const { runtime, main } = plan
  switch (runtime.kind) {
    case 'k3s':
    case 'rke2':
      return [...importedFiles(plan), k3sTemplate(plan)]
    case 'k0s':
      return [...importedFiles(plan), k0sFile(plan)]
    case 'microk8s': {
      const template = join(dirname(runtime.config), 'containerd-template.toml')
      return [{ ...block(plan, template, main?.version, main), renderedIn: runtime.config }]
    }
    default:
      return [...importedFiles(plan), ...blocks(plan)]
  }
}
