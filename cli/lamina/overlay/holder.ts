import { readFileSync, type Stats } from 'node:fs'
import { hasCode } from '../../../runtime-shim/mount/error-code.ts'
import { runningInstances } from '../instance/record.ts'
import type { Layout } from '../layout.ts'

/** As /proc/locks writes a file (proc_locks(5)): major and minor number of the device, in hexadecimal digits, and inode. */
const fileIn = ({ dev, ino }: Pick<Stats, 'dev' | 'ino'>): string => {
  const major = ((dev >> 8) & 0xfff).toString(16).padStart(2, '0')
  const minor = ((dev & 0xff) | ((dev >> 12) & 0xfff00)).toString(16).padStart(2, '0')
  return `${major}:${minor}:${ino}`
}

/** Who has taken the flock, in the text of /proc/locks; undefined where nobody has. It may have ended, and a child or a mount have the lock. */
export const lockerIn = (locks: string, file: Pick<Stats, 'dev' | 'ino'>): number | undefined => {
  const wanted = fileIn(file)
  const fields = locks.split('\n').map((line) => line.trim().split(/\s+/))
  const pid = fields.find(([, kind, , , , place]) => kind === 'FLOCK' && place === wanted)?.[4]
  return pid === undefined ? undefined : Number(pid)
}

const commandOf = (pid: number): string | undefined => {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim()
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ESRCH')) return undefined
    throw error
  }
}

/** Who uses the overlay, as far as that can be told; undefined where nobody seems to. */
export const holderOf = (path: string, file: Pick<Stats, 'dev' | 'ino'>, layout: Layout): string | undefined => {
  const instance = runningInstances(layout).find(({ overlays }) => overlays.includes(path))
  if (instance) return `instance ${instance.name}`
  const pid = lockerIn(readFileSync('/proc/locks', 'utf8'), file)
  if (pid === undefined) return undefined
  const command = commandOf(pid)
  return command === undefined ? 'another process' : `process ${pid} (${command})`
}
