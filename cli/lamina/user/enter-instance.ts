import { constants, openSync } from 'node:fs'
import { Refusal } from '../../shared/refusal.ts'
import { runAmong } from '../instance/enter.ts'
import type { InstanceRecord } from '../instance/record.ts'
import { rootTarget } from '../layout.ts'
import { findOnHost } from '../process/host-program.ts'
import { type Ended, supervise } from '../process/supervise.ts'
import { enterProcesses } from '../process/syscalls.ts'
import { openRoot } from '../run/make-root.ts'
import { commandIn } from '../run/prepare.ts'
import type { Caller, RunRequest } from '../run/request.ts'
import { anew, becomeAnew } from './namespace.ts'

/**
 * Begins this program anew in the namespaces of an ordinary user's instance, by nsenter(1):
 * only a process of one thread can go into a user namespace.
 */
export const goToInstance = ({ pid, gate = pid, image }: InstanceRecord, caller: Caller): never => {
  // Of himself the init has another mount namespace than what is before it, where the host's programs still are.
  const words = [`--target=${gate}`, '--user', ...(gate === pid ? [] : ['--mount']), '--preserve-credentials']
  return becomeAnew(anew('nsenter', words, caller, image), caller)
}

const himself = ({ uid, gid }: Caller): string[] => [`--map-user=${uid}`, `--map-group=${gid}`]

/**
 * Runs the command among the instance's processes, in whose user namespace this process is, as root. An ordinary user
 * who is himself becomes that again in a namespace below.
 *
 * @throws Refusal
 */
export const runHere = async (record: InstanceRecord, request: RunRequest, caller: Caller): Promise<Ended> => {
  const { pid, gate, image } = record
  if (gate === pid) return runAmong(record, request, caller)
  const target = rootTarget(caller.layout)
  const root = openRoot(target)
  const command = commandIn(root, { ...request, image }, caller)
  if (command === undefined) throw new Refusal('there is nothing to be run')
  enterProcesses(openSync(`/proc/${pid}/ns/pid`, constants.O_RDONLY))
  const { program, args, env, directory } = command
  const words = [...himself(caller), `--root=${target}`, `--wd=${directory}`, '--', program, ...args.slice(1)]
  return supervise(findOnHost('unshare', 'util-linux'), words, { env, inherited: caller.inherited })
}
