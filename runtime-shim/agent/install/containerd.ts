/** How containerd is told of the handler (configuration version 3, containerd 2), and how its own dump tells what it makes of it. */

export const configPath = '/etc/containerd/config.toml'
export const dropInPath = '/etc/containerd/conf.d/lamina.toml'
export const handlerName = 'lamina'

/** The node's containerd cannot take the handler; the message says what to change. */
export class ContainerdConfigError extends Error {
  override name = 'ContainerdConfigError'
}

/**
 * @param version `status.nodeInfo.containerRuntimeVersion` of the node: `containerd://2.2.1`
 * @throws ContainerdConfigError for other runtimes, and for containerd 1, which replaces whole tables on import
 */
export const assertContainerd2 = (version: string): void => {
  const major = /^containerd:\/\/v?(\d+)\./.exec(version)?.[1]
  if (major !== undefined && Number(major) >= 2) return
  throw new ContainerdConfigError(
    `the node's container runtime is ${version || 'unknown'}: the handler is installed on containerd 2.0 or newer only`,
  )
}

/** The handler as a file of its own: containerd 2 merges its table with what the main file has. */
export const dropIn = (launcher: string, { systemdCgroup }: { systemdCgroup: boolean }): string => `version = 3

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.${handlerName}]
  runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.${handlerName}.options]
    BinaryName = "${launcher}"
    SystemdCgroup = ${systemdCgroup}
`

/**
 * The plain values of a handler's options, by name, in the output of
 * `containerd config dump`: the configuration with all imports, as containerd
 * would run with it. Undefined when it has no such handler.
 */
export const handlerOptions = (dump: string, handler: string): ReadonlyMap<string, string> | undefined => {
  const lines = dump.split('\n').map((line) => line.trim())
  const table = `[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.${handler}.options]`
  const start = lines.indexOf(table)
  if (start < 0) return undefined
  const rest = lines.slice(start + 1)
  const end = rest.findIndex((line) => line.startsWith('['))
  const values = rest.slice(0, end < 0 ? undefined : end).flatMap((line): [string, string][] => {
    const [, name, value] = /^(\w+) = '?([^']*)'?$/.exec(line) ?? []
    return name === undefined || value === undefined ? [] : [[name, value]]
  })
  return new Map(values)
}

/** Whether runc's own handler lets systemd make the cgroups: ours must do the same. */
export const usesSystemdCgroup = (dump: string): boolean =>
  handlerOptions(dump, 'runc')?.get('SystemdCgroup') === 'true'

/** @throws ContainerdConfigError when containerd would not read the drop-in, although it is there */
export const assertHandler = (dump: string, launcher: string): void => {
  if (handlerOptions(dump, handlerName)?.get('BinaryName') === launcher) return
  throw new ContainerdConfigError(
    `containerd would not read ${dropInPath}: let ${configPath} have "version = 3" and imports = ["/etc/containerd/conf.d/*.toml"]`,
  )
}
