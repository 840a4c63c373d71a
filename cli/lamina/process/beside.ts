import type { Command } from '../run/prepare.ts'
import { explainStart } from './become.ts'
import type { Inherited } from './inherited.ts'
import { type Ended, supervise } from './supervise.ts'

/**
 * Runs the command in the root that this thread has entered, to its end.
 *
 * @param started is told its number
 * @throws Refusal when it cannot be started
 */
export const runBeside = async (
  { program, args, env, directory }: Command,
  inherited: Inherited,
  started?: (pid: number) => void,
): Promise<Ended> => {
  try {
    return await supervise(program, args.slice(1), { env, cwd: directory, inherited, started })
  } catch (error) {
    throw explainStart(args[0] ?? '', program, error)
  }
}
