import { unshare } from '../../../runtime-shim/mount/syscalls.ts'
import type { Command } from '../run/prepare.ts'
import type { Caller } from '../run/request.ts'
import { initCommand } from './init.ts'
import { type Ended, supervise } from './supervise.ts'
import { CLONE_NEWPID } from './syscalls.ts'

/** Runs the command under an init, to its end. */
export const runApart = ({ program, args, env, directory }: Command, caller: Caller): Promise<Ended> => {
  const [unshareProgram, words] = initCommand({ directory, args: ['--', program, ...args.slice(1)] }, caller)
  unshare(CLONE_NEWPID)
  return supervise(unshareProgram, words, { env: { ...env, PATH: env.PATH ?? '' } })
}
