import { existsSync } from 'node:fs'
import { hasCode } from '../../../runtime-shim/mount/error-code.ts'
import { Refusal } from '../../shared/refusal.ts'
import type { Command } from '../run/prepare.ts'
import { type Inherited, restoreInherited } from './inherited.ts'
import { execve } from './syscalls.ts'

/** @param name as it was asked for */
export const explainStart = (name: string, program: string, error: unknown): unknown => {
  if (hasCode(error, 'EACCES')) return new Refusal(`"${name}": permission denied`)
  if (hasCode(error, 'ENOEXEC'))
    return new Refusal(`"${name}": exec format error: it is made for another processor, or is a script without #!`)
  if (hasCode(error, 'E2BIG')) return new Refusal(`"${name}": the arguments and the environment are too long`)
  if (!hasCode(error, 'ENOENT', 'ENOTDIR')) return error
  return existsSync(program)
    ? new Refusal(`"${name}" is there, but not the interpreter that it names (its first line, or its dynamic loader)`)
    : new Refusal(`stat ${name}: no such file or directory`)
}

/**
 * Becomes the command, in the root that this thread has entered: what the terminal and other processes send goes to it, and
 * its end is ours.
 *
 * @throws Refusal
 */
export const become = ({ program, args, env, directory }: Command, inherited: Inherited): never => {
  process.chdir(directory)
  restoreInherited(inherited)
  try {
    return execve(program, args, env)
  } catch (error) {
    throw explainStart(args[0] ?? '', program, error)
  }
}
