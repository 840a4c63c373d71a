import { isDeepStrictEqual } from 'node:util'
import { stringify } from 'smol-toml'
import { type ContainerdConfig, criOf, type Handler, pluginOf } from './toml.ts'

/** The handler as containerd is told of it, and what containerd's own dump says it made of that. */

export const handlerName = 'lamina'

const isRunc = ({ runtime_type: type }: Handler): boolean => /^io\.containerd\.runc\.v\d+$/.test(type)

/** Defaults are left out: what they mean changes with containerd, not with us. */
const isSaid = (value: unknown): boolean =>
  value !== '' && value !== 0 && value !== undefined && !(Array.isArray(value) && value.length === 0)

const said = (table: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(table).filter(([, value]) => isSaid(value)))

/** The node's own handler for ordinary pods, whose settings ours shares: `runc`, else the default one where that is runc by another name. */
const ordinaryHandler = (dump: ContainerdConfig): Handler | undefined => {
  const cri = criOf(dump)
  const candidates = [cri?.containerd.runtimes.runc, cri?.containerd.runtimes[cri.containerd.default_runtime_name]]
  return candidates.find((handler) => handler !== undefined && isRunc(handler))
}

/** What the node's own handler runs; undefined for `runc` by PATH. */
export const ordinaryProgram = (dump: ContainerdConfig): string | undefined => {
  const program = ordinaryHandler(dump)?.options.BinaryName
  return typeof program === 'string' && program !== '' ? program : undefined
}

/**
 * Ours: as the node's own handler is in every setting (cgroups by systemd, base
 * spec, snapshotter, network, devices of privileged pods), with another program.
 */
export const handlerFrom = (dump: ContainerdConfig, launcher: string): Handler => {
  const ordinary = ordinaryHandler(dump)
  const { options = {}, runtime_type = 'io.containerd.runc.v2', ...rest } = ordinary ?? {}
  return { ...said(rest), runtime_type, options: { ...said(options), BinaryName: launcher } }
}

/** Tables of handlers by name, in the words of a version of the configuration. */
export const handlerTables = (handlers: Readonly<Record<string, Handler>>, version: number | undefined): string =>
  stringify({ plugins: { [pluginOf(version)]: { containerd: { runtimes: handlers } } } })

/**
 * containerd 1 drops the handlers that it has by default as soon as a
 * configuration names any: who is the first to do so must name those too.
 *
 * @param file the configuration that the handler is to be added to
 */
export const impliedHandlers = (
  dump: ContainerdConfig,
  file: ContainerdConfig | undefined,
): Readonly<Record<string, Handler>> => {
  const named = Object.keys((file && criOf(file)?.containerd.runtimes) ?? {})
  if ((dump.version ?? 0) >= 3 || named.some((name) => name !== handlerName)) return {}
  const { [handlerName]: _ours, ...others } = criOf(dump)?.containerd.runtimes ?? {}
  return others
}

/** All of a configuration but our handler and the list of files. */
export const withoutHandler = (dump: ContainerdConfig): Record<string, unknown> => {
  const { imports: _imports, plugins, ...rest } = dump
  const cri = criOf(dump)
  if (cri === undefined) return { plugins, ...rest }
  const { [handlerName]: _ours, ...runtimes } = cri.containerd.runtimes
  const others = { ...cri, containerd: { ...cri.containerd, runtimes } }
  return { ...rest, plugins: { ...plugins, [pluginOf(dump.version)]: others } }
}

/** Whether containerd would run with exactly what it had before, and our handler. */
export const addsOnlyHandler = (before: ContainerdConfig, after: ContainerdConfig, launcher: string): boolean =>
  criOf(after)?.containerd.runtimes[handlerName]?.options.BinaryName === launcher &&
  isDeepStrictEqual(withoutHandler(before), withoutHandler(after))
