import { execa } from 'execa'
import { hasSystemd, type RunningContainerd } from './processes.ts'

/** What the installer does to the host. Its namespaces are reached through a process of it. */

/** The configuration that this containerd would run with if it were started now, imports and defaults included. */
export const dumpConfig = async ({ pid, program, config }: RunningContainerd): Promise<string> => {
  const inHost = ['--target', String(pid), '--mount', '--']
  const { stdout } = await execa('nsenter', [...inHost, program, '--config', config, 'config', 'dump'], {
    timeout: 30_000,
  })
  return stdout
}

/**
 * Makes containerd read its configuration again: by systemd where that runs the
 * host, else by ending it, for whatever watches over it to start it anew. Its
 * containers live on.
 */
export const restartContainerd = async ({ pid, unit }: RunningContainerd): Promise<void> => {
  if (unit !== undefined && hasSystemd()) {
    await execa('nsenter', ['--target', '1', '--mount', '--', 'systemctl', 'restart', unit], { timeout: 120_000 })
    return
  }
  process.kill(pid, 'SIGTERM')
}
