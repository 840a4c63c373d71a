import type { Command } from 'commander'
import { usageError } from '../../shared/cli-error.ts'
import type { CommandContext } from '../context.ts'

type Act<Args extends unknown[]> = (...args: Args) => Promise<unknown>

/** What a group of verbs is made with. Each verb loads what it needs when it is called: `--help` is to be there at once. */
export interface Verbs {
  root: Command
  context: CommandContext
  /** What stands behind `--`. */
  behind: readonly string[] | undefined
  /** An action of a verb that runs nothing in an instance; a number that comes of it is the exit code. */
  does<Args extends unknown[]>(act: Act<Args>): (...args: Args) => Promise<void>
  /** The same of one that takes a command behind `--`. */
  runs<Args extends unknown[]>(act: Act<Args>): (...args: Args) => Promise<void>
}

export const createVerbs = (
  { root, context, behind }: Pick<Verbs, 'root' | 'context' | 'behind'>,
  tellExit: (code: number) => void,
): Verbs => {
  const runs: Verbs['runs'] =
    (act) =>
    async (...args) => {
      const result = await act(...args)
      if (typeof result === 'number') tellExit(result)
    }
  const does: Verbs['does'] = (act) =>
    runs((...args) => {
      if (behind !== undefined)
        throw usageError(`nothing is run here: leave out "--" and what is behind it (${behind.join(' ')})`)
      return act(...args)
    })
  return { root, context, behind, does, runs }
}
