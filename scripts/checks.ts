import { execa } from 'execa'
import { type Tally, total } from './tally.ts'

const checks = {
  types: ['tsc', '-p', '.'],
  'types of the page': ['tsc', '-p', 'console/page'],
  style: ['biome', 'check', '--error-on-warnings', '.'],
  'unused code': ['knip'],
} as const

/** Runs the static checks side by side and tells how each ended. */
export const runChecks = async (print: (text: string) => void): Promise<Tally> => {
  const runs = Object.entries(checks).map(async ([name, [program, ...args]]): Promise<Tally> => {
    const { exitCode, all } = await execa(program, args, { preferLocal: true, all: true, reject: false })
    const failed = exitCode !== 0
    print(failed ? `✗ ${name}` : `✓ ${name}`)
    return { passed: failed ? 0 : 1, skipped: 0, failures: failed ? [`${name} (${program})\n${all}`] : [] }
  })
  return total(await Promise.all(runs))
}
