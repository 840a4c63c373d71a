import { closeSync } from 'node:fs'
import { locateImage } from '../image/locate.ts'
import { keepCode } from '../kept-code.ts'
import { rootTarget } from '../layout.ts'
import { become } from '../process/become.ts'
import { becomeRoot } from '../process/syscalls.ts'
import { makeRoot, openParts, plan, takeOverForeign } from './make-root.ts'
import { commandIn } from './prepare.ts'
import type { Caller, RunRequest } from './request.ts'

/** Becomes the command in a root of its own, as root; an ordinary user keeps it company. @throws Refusal */
export const run = async (request: RunRequest, caller: Caller): Promise<void> => {
  const instance = /^instance:\/\/(.*)$/.exec(request.image)?.[1]
  if (instance !== undefined) {
    const { runInInstance } = await import('../instance/enter.ts')
    return runInInstance(instance, request, caller)
  }
  if (caller.isUser) {
    const { runAsUser } = await import('../user/run.ts')
    return runAsUser(request, caller)
  }
  const mounts = plan(request, caller)
  const parts = openParts(await locateImage(request.image, caller), request)
  await takeOverForeign(parts, caller)
  const root = makeRoot(parts, mounts, caller)
  const command = commandIn(root, request, caller)
  if (command === undefined) return
  keepCode()
  if (request.ownProcesses) {
    const { runApart } = await import('../process/apart.ts')
    const { endAs } = await import('../process/supervise.ts')
    closeSync(root)
    return endAs(await runApart(command, rootTarget(caller.layout), caller.inherited))
  }
  closeSync(root)
  becomeRoot(rootTarget(caller.layout))
  become(command, caller.inherited)
}
