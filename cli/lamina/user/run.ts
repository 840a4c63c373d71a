import { CLONE_NEWNS, unshare } from '../../../runtime-shim/mount/syscalls.ts'
import { locateImage } from '../image/locate.ts'
import { keepCode } from '../kept-code.ts'
import { runApart } from '../process/apart.ts'
import { runBeside } from '../process/beside.ts'
import { startGuard } from '../process/guard.ts'
import { type Ended, endAs } from '../process/supervise.ts'
import { becomeRoot, giveUpAmbientCapabilities } from '../process/syscalls.ts'
import { type OpenParts, openParts, plan } from '../run/make-root.ts'
import type { Command } from '../run/prepare.ts'
import type { Caller, RunRequest } from '../run/request.ts'
import { warn } from '../say.ts'
import { furnish } from './furnish.ts'
import { anewInNamespace, becomeAnew } from './namespace.ts'
import { makeUserRoot, type UserRoot } from './root.ts'
import { writeBack } from './write-back.ts'

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

/** What may be lost is no success: who goes on by the code is not to believe that it is there. */
const withLoss = (ended: Ended): Ended => (ended.code === 0 ? { code: 255, signal: null } : ended)

const inUserRoot = async (
  userRoot: UserRoot,
  { overlays }: OpenParts,
  request: RunRequest,
  { caller, umask }: { caller: Caller; umask: number },
): Promise<Ended> => {
  const { root, command } = furnish(userRoot, request, caller)
  if (command === undefined) return { code: 0, signal: null }
  keepCode()
  process.umask(umask)
  const ended = await runIn(userRoot.at, command, request, caller)
  const loss = writeBack(root, overlays)
  if (loss === undefined) return ended
  warn(loss)
  return withLoss(ended)
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
    ended = await inUserRoot(root, parts, request, { caller, umask })
  } finally {
    await root.end()
  }
  endAs(ended)
}
