import { accessSync, constants } from 'node:fs'
import { join } from 'node:path'
import { Refusal } from '../../shared/refusal.ts'
import { rootTarget } from '../layout.ts'
import type { Command } from '../run/prepare.ts'
import type { Caller } from '../run/request.ts'

/**
 * The first process of a process namespace: it reaps, passes signals on, and takes
 * all others with it. The host's catatonit, which is static, bound into the root.
 */
export const initPath = '/.lamina/init'

const places = ['/usr/bin', '/usr/local/bin', '/usr/libexec/catatonit', '/usr/libexec/podman', '/opt/lamina/lib']

/** @throws Refusal when it is not installed */
export const findInit = (): string => {
  const found = places
    .map((dir) => join(dir, 'catatonit'))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK)
        return true
      } catch {
        return false
      }
    })
  if (found === undefined)
    throw new Refusal('own process namespaces and instances need catatonit, which is not installed: install it')
  return found
}

/**
 * unshare(1) and its arguments, for init in the root: it mounts /proc there, which
 * only a process of the namespace can. The next child of this thread is the first of that.
 */
export const initCommand = (
  { directory, args }: Pick<Command, 'directory'> & { args: readonly string[] },
  { layout }: Caller,
): [string, string[]] => [
  'unshare',
  [`--root=${rootTarget(layout)}`, `--wd=${directory}`, '--mount-proc', '--', initPath, ...args],
]
