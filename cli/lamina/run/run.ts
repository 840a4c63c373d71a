import { closeSync } from 'node:fs'
import { locateImage } from '../image/locate.ts'
import { keepCode } from '../kept-code.ts'
import { become } from '../process/become.ts'
import { becomeRoot } from '../process/syscalls.ts'
import { makeRoot, openParts, plan } from './make-root.ts'
import { commandIn } from './prepare.ts'
import type { Caller, RunRequest } from './request.ts'

/** Becomes the command in a root of its own, as root. @throws Refusal */
export const run = async (request: RunRequest, caller: Caller): Promise<void> => {
  const instance = /^instance:\/\/(.*)$/.exec(request.image)?.[1]
  if (instance !== undefined) {
    const { runInInstance } = await import('../instance/enter.ts')
    return runInInstance(instance, request, caller)
  }
  const mounts = plan(request, caller)
  const parts = await openParts(await locateImage(request.image, caller), request, caller)
  const root = makeRoot(parts, mounts, caller)
  const command = commandIn(root, request, caller)
  if (command === undefined) return
  keepCode()
  if (request.ownProcesses) {
    const { runApart } = await import('../process/apart.ts')
    return runApart(command, caller)
  }
  becomeRoot(root)
  closeSync(root)
  become(command, caller.inherited)
}
