import { userInfo } from 'node:os'
import { Refusal } from '../../shared/refusal.ts'
import { locateImage } from '../image/locate.ts'
import { keepCode } from '../kept-code.ts'
import { runApart } from '../process/apart.ts'
import { type Ended, endAs, supervise } from '../process/supervise.ts'
import { enterRoot, giveUpAmbientCapabilities, syncFileSystem } from '../process/syscalls.ts'
import { makeMounts } from '../root/mounts.ts'
import { openParts, openRoot, plan } from '../run/make-root.ts'
import { type Command, commandIn } from '../run/prepare.ts'
import type { Caller, RunRequest } from '../run/request.ts'
import { identityMounts } from './identity.ts'
import { enterNamespace } from './namespace.ts'
import { makeUserRoot, type UserRoot } from './root.ts'

const userName = (): string => {
  try {
    return userInfo().username
  } catch {
    return 'user'
  }
}

const runIn = async (root: number, command: Command, { ownProcesses }: RunRequest, caller: Caller): Promise<Ended> => {
  if (ownProcesses) return runApart(command, caller)
  enterRoot(root)
  giveUpAmbientCapabilities()
  const { program, args, env, directory } = command
  try {
    return await supervise(program, args.slice(1), { env, cwd: directory })
  } catch (error) {
    throw new Refusal(`"${args[0]}" cannot be started: ${error instanceof Error ? error.message : error}`)
  }
}

const inUserRoot = async (
  { at, dir }: UserRoot,
  request: RunRequest,
  { caller, umask }: { caller: Caller; umask: number },
): Promise<Ended> => {
  const mounts = plan(request, caller)
  const root = openRoot(at)
  const [uid, gid] = [process.getuid?.() ?? 0, process.getgid?.() ?? 0]
  const identity = identityMounts(root, dir, { uid, gid, name: userName(), home: caller.home })
  makeMounts(root, [...mounts, ...identity])
  const command = commandIn(root, request, caller)
  if (command === undefined) return { code: 0, signal: null }
  keepCode()
  process.umask(umask)
  const ended = await runIn(root, command, request, caller)
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
  if (located === undefined) return enterNamespace(caller, request, await locateImage(request.image, caller))
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
