import { locateImage } from '../image/locate.ts'
import { makeRoot, openParts, plan, takeOverForeign } from '../run/make-root.ts'
import { commandIn } from '../run/prepare.ts'
import type { Caller, RunRequest } from '../run/request.ts'
import { inform } from '../say.ts'
import { beginInstance } from './begin.ts'
import { holdName } from './record.ts'

const startAsRoot = async (name: string, request: RunRequest, caller: Caller): Promise<void> => {
  const held = holdName(caller.layout, name)
  try {
    const mounts = plan(request, caller)
    const parts = openParts(await locateImage(request.image, caller), request)
    await takeOverForeign(parts, caller)
    const root = makeRoot(parts, mounts, caller)
    const command = commandIn(root, request, caller)
    const beginning = { name, request, overlays: parts.found, command, isKept: false }
    const child = await beginInstance(beginning, held, caller)
    child.unref()
  } catch (error) {
    held.giveUp()
    throw error
  }
}

/** Starts a process in the background, in its own root and process namespace. @throws Refusal */
export const startInstance = async (name: string, request: RunRequest, caller: Caller): Promise<void> => {
  if (caller.located !== undefined) {
    const { keepInstance } = await import('../user/keep-instance.ts')
    return keepInstance(name, request, { caller, image: caller.located })
  }
  if (caller.isUser) {
    const { startKeeper } = await import('../user/start-keeper.ts')
    await startKeeper(name, request, caller)
  } else await startAsRoot(name, request, caller)
  inform('instance started successfully')
}
