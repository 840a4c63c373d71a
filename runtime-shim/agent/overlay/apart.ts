import type { BlockVolume } from '../../node/block-device.ts'
import { ApartError, programBeside, runApart } from '../apart/run.ts'
import { Trouble } from '../trouble.ts'
import type { GrowthOutcome, MountedGrowth } from './grow-mounted.ts'
import type { Preparation, PreparedOverlay } from './preparation.ts'
import { type PreparerAnswer, type PreparerRequest, preparerAnswerSchema } from './preparer/protocol.ts'

/** Has overlays prepared by a process of their own. */

/** The bundle of {@link ./preparer/main.ts}. */
const preparerProgram = (): string => programBeside('overlay-preparer.cjs')

interface Run {
  program: string
  signal: AbortSignal
  onProgress(line: string): void
}

/**
 * When the signal ends it, none of what it does needs to be waited for: a file that
 * was being made has no name yet and is swept, of a device its note says so, a check
 * is done anew, an import goes on where it was. A growth that was cut off is mended
 * by e2fsck, by its note: that costs one check. To let it finish would keep the pod,
 * and its overlay from everyone, for as long as the volume likes; and let the pod go
 * meanwhile we must not: the next one may be on another node, where no lock reaches.
 */
const run = async (request: PreparerRequest, options: Run): Promise<PreparerAnswer | undefined> => {
  const answer = await runApart({
    ...{ name: 'the overlay preparer', request, answer: preparerAnswerSchema, ...options },
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
  })
  if (options.signal.aborted && answer?.kind !== 'prepared') return undefined
  if (answer?.kind === 'trouble') throw new Trouble(answer.reason, answer.message, { final: answer.final })
  return answer
}

/**
 * The same as {@link ./prepare.ts}, by another process.
 *
 * @param signal ends it; the promise is fulfilled when it has ended
 * @returns undefined when the signal ended it
 * @throws Trouble in words for the user
 */
export const prepareApart = async (
  { onProgress, ...preparation }: Preparation,
  signal: AbortSignal,
  program = preparerProgram(),
): Promise<PreparedOverlay | undefined> => {
  const answer = await run({ kind: 'prepare', preparation }, { program, signal, onProgress })
  if (!answer) return undefined
  if (answer.kind === 'prepared') return answer.prepared
  throw new ApartError(`the overlay preparer answered with ${answer.kind}`)
}

/**
 * The same as {@link ./grow-mounted.ts}, by another process. The kernel does it
 * with its journal: nothing ends it.
 *
 * @throws Trouble OverlayNoSpace when the volume has no room
 */
export const growMountedApart = async (growth: MountedGrowth, program = preparerProgram()): Promise<GrowthOutcome> => {
  const never = new AbortController().signal
  const answer = await run({ kind: 'grow', growth }, { program, signal: never, onProgress: () => {} })
  if (answer?.kind === 'growth') return answer.outcome
  throw new ApartError(`the overlay preparer answered with ${answer?.kind ?? 'nothing'}`)
}

/** The same as `isDeviceMounted` ({@link ../../node/block-device.ts}), by another process: the device may never answer. */
export const isDeviceMountedApart = async (volume: BlockVolume, program = preparerProgram()): Promise<boolean> => {
  const never = new AbortController().signal
  const answer = await run({ kind: 'ask', volume }, { program, signal: never, onProgress: () => {} })
  if (answer?.kind === 'asked') return answer.isMounted
  throw new ApartError(`the overlay preparer answered with ${answer?.kind ?? 'nothing'}`)
}
