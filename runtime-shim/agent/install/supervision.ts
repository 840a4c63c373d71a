import { adminPath, type Host } from './host.ts'
import type { NodeRuntime } from './node-runtime.ts'
import { type Ancestor, ancestorsOf } from './processes.ts'
import { RefusedError } from './refused.ts'

/** Who starts the container runtime anew when it ends. */
type Supervision = { by: 'systemd'; unit: string } | { by: 'parent'; name: string }

/** Nobody would start the container runtime again: it is not ours to end. Whoever started it can. */
export class UnsupervisedError extends RefusedError {
  override name = 'UnsupervisedError'
}

/** What people and timers start programs from: all below them is in no unit's keeping, whatever its cgroup says. */
const sessions = new Set(['sshd', 'sshd-session', 'login', 'agetty', 'su', 'sudo', 'doas', 'cron', 'crond', 'atd'])
/** Run a program once. A shell may do it in a loop, but nothing tells. */
const shells = new Set(['sh', 'bash', 'dash', 'ash', 'zsh', 'ksh', 'fish', 'busybox', 'script', 'screen', 'tmux'])
/** They end with their containerd: what counts is who starts them again. */
const endsWithIt = ({ name }: Ancestor): boolean => /^(k3s|rke2)/.test(name)

/** The first process also adopts what others have left behind; k0s, which starts its containerd again, may be it. */
const startsAgain = ({ pid, name }: Ancestor): boolean =>
  name === 'k0s' || (pid > 1 && !sessions.has(name) && !shells.has(name))

/** Whether systemd would start it anew with this unit: not what was only started by hand below one. */
const isKeptBy = async (
  { run }: Pick<Host, 'run'>,
  unit: string,
  self: number,
  ancestors: readonly Ancestor[],
): Promise<boolean> => {
  const main = Number(await run('systemctl', ['show', '--property=MainPID', '--value', unit], adminPath))
  if (main === self) return true
  const index = ancestors.findIndex(({ pid }) => pid === main)
  return index >= 0 && !ancestors.slice(0, index + 1).some(({ name }) => sessions.has(name))
}

/**
 * @param ancestors of the runtime's process, the nearest first
 * @throws UnsupervisedError where nobody is known to
 */
export const supervisionOf = async (
  host: Pick<Host, 'run'>,
  { process: { pid, program }, restart, config }: Pick<NodeRuntime, 'process' | 'restart' | 'config'>,
  ancestors: readonly Ancestor[] = ancestorsOf(pid),
): Promise<Supervision> => {
  if (restart.by === 'systemd' && (await isKeptBy(host, restart.unit, pid, ancestors)))
    return { by: 'systemd', unit: restart.unit }
  const keeper = ancestors.find((each) => !endsWithIt(each))
  if (keeper && startsAgain(keeper)) return { by: 'parent', name: keeper.name }
  const whose = keeper === undefined ? 'nothing' : `${keeper.name} (pid ${keeper.pid})`
  throw new UnsupervisedError(
    `${program} (pid ${pid}) was started below ${whose}, which would not start it again: Lamina does not end it. ` +
      `Restart it yourself, so that it reads ${config} anew, or let a service manager keep it`,
  )
}
