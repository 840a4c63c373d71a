import { readdirSync, readFileSync } from 'node:fs'
import { execa } from 'execa'
import { hasCode } from '../../mount/error-code.ts'

const commOf = (pid: string): string => {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim()
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ESRCH')) return ''
    throw error
  }
}

/** Processes of the host called so; the agent shares its pid namespace. */
const processesNamed = (name: string): number[] =>
  readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry) && commOf(entry) === name)
    .map(Number)

/**
 * Makes containerd read its configuration again: by systemd where that runs the
 * host, else by ending it, for whatever watches over it to start it anew. Its
 * containers live on.
 */
export const restartContainerd = async (): Promise<void> => {
  if (commOf('1') === 'systemd') {
    await execa('nsenter', ['--target', '1', '--mount', '--', 'systemctl', 'restart', 'containerd'])
    return
  }
  const pids = processesNamed('containerd')
  if (pids.length === 0) throw new Error('no containerd runs on this node, so its handler cannot be loaded')
  for (const pid of pids) process.kill(pid, 'SIGTERM')
}
