import { closeSync } from 'node:fs'
import { basename } from 'node:path'
import { commandOf } from '../command/choose.ts'
import { environmentOf } from '../command/environment.ts'
import { lookAround } from '../command/facts.ts'
import { locateImage } from '../image/locate.ts'
import { keepCode } from '../kept-code.ts'
import { become } from '../process/become.ts'
import { becomeRoot } from '../process/syscalls.ts'
import { enterDirectory, makeRoot, openParts, plan } from './make-root.ts'
import type { Caller, RunRequest } from './request.ts'

/** Becomes the command in a root of its own, as root. @throws Refusal */
export const run = async (request: RunRequest, caller: Caller): Promise<never> => {
  const mounts = plan(request, caller)
  const parts = await openParts(await locateImage(request.image, caller), request, caller)
  const root = makeRoot(parts, mounts, caller)
  keepCode()
  becomeRoot(root)
  closeSync(root)
  const facts = lookAround()
  const env = environmentOf({
    host: caller.env,
    clean: request.cleanEnvironment,
    image: facts.config?.env ?? [],
    variables: request.variables,
    home: caller.home,
    container: request.image,
    name: basename(request.image),
  })
  enterDirectory(request, caller)
  return become(commandOf(request.action, facts), { ...env, PWD: process.cwd() }, caller.inherited)
}
