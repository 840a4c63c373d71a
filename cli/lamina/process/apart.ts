import { unshare } from '../../../runtime-shim/mount/syscalls.ts'
import type { Command } from '../run/prepare.ts'
import type { Caller } from '../run/request.ts'
import { initCommand } from './init.ts'
import { supervise } from './supervise.ts'
import { CLONE_NEWPID } from './syscalls.ts'

/** Runs the command under an init, and ends with it. */
export const runApart = ({ program, args, env, directory }: Command, caller: Caller): Promise<never> => {
  const [unshareProgram, words] = initCommand({ directory, args: ['--', program, ...args.slice(1)] }, caller)
  unshare(CLONE_NEWPID)
  return supervise(unshareProgram, words, { env: { ...env, PATH: env.PATH ?? '' } })
}
