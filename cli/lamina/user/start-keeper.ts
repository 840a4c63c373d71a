import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Refusal } from '../../shared/refusal.ts'
import { locateImage } from '../image/locate.ts'
import { assertInstanceName } from '../instance/record.ts'
import { endAs } from '../process/supervise.ts'
import type { Caller, RunRequest } from '../run/request.ts'
import { starterDescriptor } from './keep-instance.ts'
import { anewInNamespace } from './namespace.ts'

/**
 * Starts the process that makes an ordinary user's instance and stays beside it, in a session of its own, and
 * waits until the instance runs. What that has to say of a failure it says itself.
 *
 * @throws Refusal
 */
export const startKeeper = async (name: string, request: RunRequest, caller: Caller): Promise<void> => {
  assertInstanceName(name)
  const image = await locateImage(request.image, caller)
  const { program, args, env } = anewInNamespace(caller, request, image)
  const child = spawn(program, args, { env, detached: true, stdio: ['ignore', 'ignore', 'inherit', 'pipe'] })
  const told = child.stdio[starterDescriptor]
  if (!told) throw new Refusal(`${program} cannot be started`)
  const isUp = await Promise.race([
    once(told, 'data').then(() => true as const),
    once(child, 'exit').then(([code, signal]) => ({ code, signal })),
  ])
  if (isUp === true) {
    child.unref()
    told.destroy()
    return
  }
  if (isUp.signal !== null)
    throw new Refusal(`instance ${name} has not started: its keeper was ended by ${isUp.signal}`)
  endAs(isUp)
}
