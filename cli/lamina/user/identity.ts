import { closeSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { hasCode } from '../../../runtime-shim/mount/error-code.ts'
import { descriptorPath } from '../../../runtime-shim/mount/open.ts'
import { O_PATH, openat2, resolve } from '../../../runtime-shim/mount/syscalls.ts'
import type { PlannedMount } from '../root/mount-plan.ts'

/** A user whom the image does not know gets a line in its passwd and group, so that programs can name him. */

const largest = 2 ** 24

/** A file of the root; undefined where there is none of a usual size. */
const readIn = (root: number, path: string): string | undefined => {
  try {
    const fd = openat2(root, path, O_PATH, resolve.inRoot | resolve.noMagiclinks)
    try {
      const stats = statSync(descriptorPath(fd))
      return stats.isFile() && stats.size < largest ? readFileSync(descriptorPath(fd), 'utf8') : undefined
    } finally {
      closeSync(fd)
    }
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return undefined
    throw error
  }
}

const knows = (text: string, id: number): boolean => text.split('\n').some((line) => line.split(':')[2] === String(id))

const withLine = (text: string, line: string): string =>
  `${text}${text === '' || text.endsWith('\n') ? '' : '\n'}${line}\n`

export interface Identity {
  uid: number
  gid: number
  name: string
  home: string
}

/** Files put into `dir`, to be bound over those of the root that is open. */
export const identityMounts = (root: number, dir: string, { uid, gid, name, home }: Identity): PlannedMount[] => {
  const lines = [
    { path: '/etc/passwd', id: uid, line: `${name}:x:${uid}:${gid}::${home}:/bin/sh` },
    { path: '/etc/group', id: gid, line: `${name}:x:${gid}:` },
  ]
  return lines.flatMap(({ path, id, line }): PlannedMount[] => {
    const text = readIn(root, path)
    if (text === undefined || knows(text, id)) return []
    const source = join(dir, path.replaceAll('/', '-').slice(1))
    writeFileSync(source, withLine(text, line), { mode: 0o644 })
    return [{ kind: 'bind', source, destination: path, readOnly: false, asked: false, isDirectory: false }]
  })
}
