import { once } from 'node:events'
import { Refusal } from '../../shared/refusal.ts'
import type { Command } from '../run/prepare.ts'
import { runBeside } from './beside.ts'
import type { Inherited } from './inherited.ts'
import { startInit } from './init.ts'
import { enterNamespaces, openNamespaces } from './namespaces.ts'
import type { Ended } from './supervise.ts'
import { becomeRoot, giveUpAmbientCapabilities } from './syscalls.ts'

/**
 * Runs the command in the root, beside an init, which is killed at its end, with all that is left.
 * As a child of the init it would have another process group than the terminal's, and signals blocked.
 */
export const runApart = async (command: Command, root: string, inherited: Inherited): Promise<Ended> => {
  const init = await startInit(undefined, { root, output: ['ignore', 'ignore'], isTied: true })
  if (init === undefined) throw new Refusal('the first process of its process namespace has not started')
  const ended = once(init.child, 'exit')
  try {
    enterNamespaces(openNamespaces(init.pid))
    becomeRoot(root)
    init.release()
    giveUpAmbientCapabilities()
    return await runBeside(command, inherited)
  } finally {
    init.child.kill('SIGKILL')
    await ended
  }
}
