import { makeMounts } from '../root/mounts.ts'
import { openRoot, plan } from '../run/make-root.ts'
import { type Command, commandIn } from '../run/prepare.ts'
import type { Caller, RunRequest } from '../run/request.ts'
import { identityMounts } from './identity.ts'
import { userName } from './name.ts'
import type { UserRoot } from './root.ts'

/**
 * Makes the mounts of the host in the root.
 *
 * @returns the root, open, and what is to run in it
 * @throws Refusal
 */
export const furnish = (
  { at, dir }: UserRoot,
  request: RunRequest,
  caller: Caller,
): { root: number; command: Command | undefined } => {
  const mounts = plan(request, caller)
  const root = openRoot(at)
  const [uid, gid] = [process.getuid?.() ?? 0, process.getgid?.() ?? 0]
  const identity = identityMounts(root, dir, { uid, gid, name: userName() ?? 'user', home: caller.home })
  makeMounts(root, [...mounts, ...identity])
  return { root, command: commandIn(root, request, caller) }
}
