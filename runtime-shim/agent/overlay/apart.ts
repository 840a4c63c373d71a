import { type ChildProcess, spawn } from 'node:child_process'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { type Clock, systemClock } from '../../../kube/clock.ts'
import { hasCode } from '../../mount/error-code.ts'
import { Trouble } from '../trouble.ts'
import type { GrowthOutcome, MountedGrowth } from './grow-mounted.ts'
import type { Preparation, PreparedOverlay } from './preparation.ts'
import { type PreparerAnswer, type PreparerRequest, preparerLineSchema } from './preparer/protocol.ts'

/** Has overlays prepared by a process of their own, which can be ended, and by which nobody else is stopped. */

/** The bundle of {@link ./preparer/main.ts}: it lies beside the agent's. */
const preparerProgram = (): string => join(dirname(process.argv[1] ?? ''), 'overlay-preparer.cjs')

/** The preparer said or did what is no answer. */
class PreparerError extends Error {
  override name = 'PreparerError'
}

/** e2fsck writes down what it has corrected, and marks the file system as it found it. */
const graceMs = 5_000
/** Of what it says when it fails, the end. */
const keptCharacters = 4096

/** To the preparer, its tools and its workers: they are one process group. */
const sendToGroup = ({ pid }: ChildProcess, signal: 'SIGTERM' | 'SIGKILL'): void => {
  if (pid === undefined) return
  try {
    process.kill(-pid, signal)
  } catch (error) {
    if (!hasCode(error, 'ESRCH')) throw error
  }
}

/**
 * Ends all of them when the signal says so. None of what they do needs to be
 * waited for: a file that was being made has no name yet and is swept, of a device
 * its note says so, a check is done anew, an import goes on where it was. A growth
 * that was cut off is mended by e2fsck, by its note: that costs one check. To let
 * it finish would keep the pod, and its overlay from everyone, for as long as the
 * volume likes; and let the pod go meanwhile we must not: the next one may be on
 * another node, where no lock reaches.
 *
 * @returns takes the order back
 */
const endOn = (signal: AbortSignal, child: ChildProcess, clock: Clock): (() => void) => {
  let cancel = (): void => {}
  const end = (): void => {
    sendToGroup(child, 'SIGTERM')
    cancel = clock.setTimeout(() => sendToGroup(child, 'SIGKILL'), graceMs)
  }
  signal.addEventListener('abort', end, { once: true })
  return () => {
    cancel()
    signal.removeEventListener('abort', end)
  }
}

interface Run {
  program: string
  signal: AbortSignal
  onProgress(line: string): void
}

/**
 * Fulfilled when all of its processes have ended, not before: they have its
 * standard error open. One that waits for a dead volume cannot be ended, and its
 * pod is not let go until then.
 *
 * @returns undefined when the signal ended it
 */
const run = (request: PreparerRequest, { program, signal, onProgress }: Run): Promise<PreparerAnswer | undefined> =>
  new Promise((resolve, reject) => {
    if (signal.aborted) return resolve(undefined)
    const child = spawn(process.execPath, [program, JSON.stringify(request)], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
      detached: true,
    })
    const takeBack = endOn(signal, child, systemClock)
    let answer: PreparerAnswer | undefined
    let complaint = ''
    const read = (line: string): void => {
      const said = preparerLineSchema.parse(JSON.parse(line))
      if (said.kind === 'progress') onProgress(said.line)
      else answer = said
    }
    // What fails here ends nothing there: it is told when all of them have ended.
    let failure: unknown
    createInterface({ input: child.stdout }).on('line', (line) => {
      try {
        read(line)
      } catch (error) {
        failure ??= error
      }
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      complaint = (complaint + text).slice(-keptCharacters)
    })
    child.once('error', reject)
    child.once('close', (code, killedBy) => {
      takeBack()
      if (failure !== undefined) reject(failure)
      else if (answer || signal.aborted) resolve(answer)
      else reject(new PreparerError(`the overlay preparer ended with ${killedBy ?? code}: ${complaint.trim()}`))
    })
  })

const throwIfFailed = (answer: PreparerAnswer): void => {
  if (answer.kind === 'error') throw new PreparerError(answer.error)
  if (answer.kind === 'trouble') throw new Trouble(answer.reason, answer.message, { final: answer.final })
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
  if (!answer || (signal.aborted && answer.kind !== 'prepared')) return undefined
  throwIfFailed(answer)
  if (answer.kind === 'prepared') return answer.prepared
  throw new PreparerError(`the overlay preparer answered with ${answer.kind}`)
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
  if (answer) throwIfFailed(answer)
  if (answer?.kind === 'growth') return answer.outcome
  throw new PreparerError(`the overlay preparer answered with ${answer?.kind ?? 'nothing'}`)
}
