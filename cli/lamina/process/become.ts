import { existsSync } from 'node:fs'
import { hasCode } from '../../../runtime-shim/mount/error-code.ts'
import { Refusal } from '../../shared/refusal.ts'
import { findProgram } from '../command/facts.ts'
import { type Inherited, restoreInherited } from './inherited.ts'
import { execve } from './syscalls.ts'

const explain = (name: string, program: string, error: unknown): unknown => {
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
 * Becomes the command: what the terminal and other processes send goes to it, and
 * its end is ours.
 *
 * @throws Refusal
 */
export const become = (args: readonly string[], env: Readonly<Record<string, string>>, inherited: Inherited): never => {
  const [name = ''] = args
  const program = findProgram(name, env.PATH ?? '')
  if (program === undefined) throw new Refusal(`"${name}": executable file not found in $PATH`)
  restoreInherited(inherited)
  try {
    return execve(program, args, env)
  } catch (error) {
    throw explain(name, program, error)
  }
}
