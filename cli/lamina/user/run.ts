import { CLONE_NEWNS, unshare } from '../../../runtime-shim/mount/syscalls.ts'
import { locateImage } from '../image/locate.ts'
import { keepCode } from '../kept-code.ts'
import { runApart } from '../process/apart.ts'
import { runBeside } from '../process/beside.ts'
import { startGuard } from '../process/guard.ts'
import { type Ended, endAs } from '../process/supervise.ts'
import { becomeRoot, giveUpAmbientCapabilities, syncFileSystem } from '../process/syscalls.ts'
import { openParts, plan } from '../run/make-root.ts'
import type { Command } from '../run/prepare.ts'
import type { Caller, RunRequest } from '../run/request.ts'
import { furnish } from './furnish.ts'
import { anewInNamespace, becomeAnew } from './namespace.ts'
import { makeUserRoot, type UserRoot } from './root.ts'

const runIn = async (
  root: string,
  command: Command,
  { ownProcesses }: RunRequest,
  { inherited }: Caller,
): Promise<Ended> => {
  if (ownProcesses) return runApart(command, root, inherited)
  const guard = startGuard()
  try {
    // What serves it stays in ours.
    unshare(CLONE_NEWNS)
    becomeRoot(root)
    giveUpAmbientCapabilities()
    return await runBeside(command, inherited, guard.watch)
  } finally {
    guard.dismiss()
  }
}

const inUserRoot = async (
  userRoot: UserRoot,
  request: RunRequest,
  { caller, umask }: { caller: Caller; umask: number },
): Promise<Ended> => {
  const { root, command } = furnish(userRoot, request, caller)
  if (command === undefined) return { code: 0, signal: null }
  keepCode()
  process.umask(umask)
  const ended = await runIn(userRoot.at, command, request, caller)
  // Its server is soon asked to end, and then takes nothing more.
  syncFileSystem(root)
  return ended
}

/**
 * As an ordinary user: in a user namespace, on file systems that processes of his own
 * serve. This process stays beside the command, and ends when they have ended.
 *
 * @throws Refusal
 */
export const runAsUser = async (request: RunRequest, caller: Caller): Promise<void> => {
  const { located } = caller
  if (located === undefined) {
    const image = await locateImage(request.image, caller)
    return becomeAnew(anewInNamespace(caller, request, image), caller)
  }
  const umask = process.umask(0o022)
  const parts = openParts(located, request)
  const root = await makeUserRoot(parts, plan(request, caller), caller)
  let ended: Ended
  try {
    ended = await inUserRoot(root, request, { caller, umask })
  } finally {
    await root.end()
  }
  endAs(ended)
}
