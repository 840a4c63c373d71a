/** How containerd is told of the handler (config version 3, containerd 2). */

export const configPath = '/etc/containerd/config.toml'
export const dropInPath = '/etc/containerd/conf.d/lamina.toml'
export const handlerName = 'lamina'

/** The handler as a file of its own: containerd 2 merges its table with what the main file has. */
export const dropIn = (launcher: string, { systemdCgroup }: { systemdCgroup: boolean }): string => `version = 3

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.${handlerName}]
  runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.${handlerName}.options]
    BinaryName = "${launcher}"
    SystemdCgroup = ${systemdCgroup}
`

/** Whether runc's own handler lets systemd make the cgroups: ours must do the same. */
export const usesSystemdCgroup = (config: string): boolean => /^\s*SystemdCgroup\s*=\s*true\s*$/m.test(config)

/** The main file cannot take our drop-in; the message says what to write into it. */
export class ContainerdConfigError extends Error {
  override name = 'ContainerdConfigError'
}

/**
 * Refuses a main file that would not read the drop-in, or read it wrongly.
 *
 * @param config text of the main file; undefined when there is none: then containerd's defaults hold, which import conf.d from 2.2 on
 * @throws ContainerdConfigError
 */
export const assertImports = (config: string | undefined): void => {
  if (config === undefined) return
  const version = /^\s*version\s*=\s*(\d+)/m.exec(config)?.[1]
  if (version !== '3') {
    throw new ContainerdConfigError(
      `${configPath} has version ${version ?? '1'}: the handler is installed on containerd 2 with a configuration of version 3 only; migrate it with "containerd config migrate"`,
    )
  }
  const imports = /^\s*imports\s*=\s*\[([^\]]*)\]/m.exec(config)?.[1]
  if (imports !== undefined && !imports.includes('/etc/containerd/conf.d/')) {
    throw new ContainerdConfigError(
      `${configPath} imports other files, and not /etc/containerd/conf.d/*.toml: add that to its "imports"`,
    )
  }
}
