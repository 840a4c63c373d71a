/**
 * Stands outside the cluster's namespaces: starts the supervisor inside new
 * ones, and sweeps when it has ended, however it ended. Its own death takes
 * the cluster with it (the parent-death signal of `setpriv`).
 *
 * usage: guardian.ts NAME FOLDER_OF_BINARIES
 */
import { spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { clusterFiles, clusterLayout } from './layout.ts'
import { sweep } from './sweep.ts'

const childOf = (pid: number): number | undefined => {
  const [child] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')
  return child ? Number(child) : undefined
}

const main = async (): Promise<void> => {
  const [name = '', bin = ''] = process.argv.slice(2)
  const layout = clusterLayout(name)
  const files = clusterFiles(layout)
  writeFileSync(files.guardianPid, String(process.pid))

  const namespaces = ['unshare', '--mount', '--pid', '--fork', '--kill-child=KILL', '--mount-proc']
  // Node as process 1 would not reap the orphans that containerd's shims are.
  const init = ['catatonit', '--', process.execPath, join(import.meta.dirname, 'supervisor.ts'), name, bin]
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...namespaces, ...init], { stdio: 'inherit' })
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))

  let supervisor: number | undefined
  while (supervisor === undefined && child.exitCode === null && child.pid !== undefined) {
    await sleep(20)
    supervisor = childOf(child.pid)
  }
  if (supervisor !== undefined) writeFileSync(files.supervisorPid, String(supervisor))

  process.on('SIGTERM', () => {
    if (supervisor !== undefined) process.kill(supervisor, 'SIGTERM')
  })
  await ended
  supervisor = undefined
  await sweep(layout)
}

await main()
