import { once } from 'node:events'
import { constants, openSync } from 'node:fs'
import { Refusal } from '../../shared/refusal.ts'
import type { Command } from '../run/prepare.ts'
import type { Caller } from '../run/request.ts'
import { runBeside } from './beside.ts'
import { startInit } from './init.ts'
import type { Ended } from './supervise.ts'
import { enter, giveUpAmbientCapabilities } from './syscalls.ts'

const enterPlaceOf = (pid: number): void => {
  const of = (entry: string): number => openSync(`/proc/${pid}/${entry}`, constants.O_RDONLY)
  enter({ root: of('root'), mounts: of('ns/mnt'), processes: of('ns/pid') })
}

/**
 * Runs the command beside an init, which is killed at its end, with all that is left.
 * As a child of the init it would have another process group than the terminal's, and signals blocked.
 */
export const runApart = async (command: Command, caller: Caller): Promise<Ended> => {
  const init = startInit(undefined, { env: {}, stdio: 'ignore', isTied: true }, caller)
  if (init === undefined) throw new Refusal('the first process of its process namespace has not started')
  const ended = once(init.child, 'exit')
  try {
    enterPlaceOf(init.pid)
    giveUpAmbientCapabilities()
    return await runBeside(command)
  } finally {
    init.child.kill('SIGKILL')
    await ended
  }
}
