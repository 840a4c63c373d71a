import { assertExt3, readSuperblock } from '../../mount/superblock.ts'
import type { Preparation, Target } from './preparation.ts'
import { hasSuperblock, superblockCopy } from './superblock-copy.ts'
import { runTool, ToolError } from './tools.ts'

/** What e2fsck found. */
export interface Check {
  /** What it corrected, in its words. */
  repaired: string[]
  /** What it did not, in its words and with what to do. */
  damaged: string | undefined
}

/** Of e2fsck(8)'s exit codes. */
const corrected = 1
const uncorrected = 4
/** By a signal that it heeds. */
const canceled = 32
/** By another one. */
const killed = 255

/** Whether a line of e2fsck tells what is not as it should be. */
export const isFinding = (line: string): boolean =>
  !/: recovering journal$|^recovering journal$|\d+\/\d+ files \(|check forced\.?$|^e2fsck \d|^Pass \d|^\*+ .*(?:MODIFIED|still has errors) \*+$|UNEXPECTED INCONSISTENCY|^\(i\.e\., without|^Warning: skipping journal recovery/.test(
    line,
  )

const shownLines = 3

const damage = (
  { overlay }: Pick<Preparation, 'overlay'>,
  { what, extent }: Target,
  { exitCode, output }: ToolError,
): string => {
  const place = extent.offset === 0 ? what : `${what}?offset=${extent.offset}`
  const words = output
    .filter((line) => !line.startsWith('(i.e., without'))
    .slice(-shownLines)
    .join('; ')
  return `overlay "${overlay}" has errors that e2fsck -p does not mend (exit code ${exitCode}: ${words}): copy what you need while it is mounted ReadOnly, or back its volume up and run e2fsck -f on ${place}`
}

interface State {
  /** Options that name a copy of the superblock, where that is lost. */
  copy: string[]
  /** Only its journal is to be replayed, which leaves counts to be corrected. */
  isUnclean: boolean
}

const stateOf = ({ fd, extent: { offset } }: Target): State => {
  if (hasSuperblock(fd, offset)) {
    const { needsRecovery, errorCount } = readSuperblock(fd, offset)
    return { copy: [], isUnclean: needsRecovery && errorCount === 0 }
  }
  const copy = superblockCopy(fd)
  return { copy: copy ? ['-b', String(copy.block), '-B', String(copy.blockSize)] : [], isUnclean: false }
}

/** e2fsck -p corrects bitmaps and counts without a word. */
const silently = 'bitmaps, counts or the mark of errors, for which e2fsck -p has no words'

const repairsIn = (output: readonly string[], { isUnclean, copy }: State): string[] => {
  const told = [
    ...(copy.length > 0 ? ['the superblock was lost, and taken from a copy'] : []),
    ...output.filter(isFinding),
  ]
  return told.length > 0 || isUnclean ? told : [silently]
}

const modes = {
  /** Only what is safe to correct without a person's judgement. */
  preen: '-p',
  /** Everything. */
  all: '-y',
} as const

/**
 * Goes over the whole file system with e2fsck; what that finds is told at once, in its words.
 *
 * @throws ToolError when it could not
 * @param mode `all` only where it was sound a moment before, and what is wrong is our own doing
 */
export const check = async (
  target: Target,
  preparation: Pick<Preparation, 'overlay' | 'onProgress'>,
  mode: keyof typeof modes,
): Promise<Check> => {
  const { fd, extent } = target
  const before = stateOf(target)
  try {
    const { exitCode, output } = await runTool(target, {
      tool: 'e2fsck',
      options: ['-f', modes[mode], ...before.copy],
      offset: extent.offset,
      accepted: [0, corrected],
      onLine: (line) => {
        if (isFinding(line)) preparation.onProgress(line)
      },
    })
    assertExt3(readSuperblock(fd, extent.offset))
    return { repaired: exitCode === corrected ? repairsIn(output, before) : [], damaged: undefined }
  } catch (error) {
    // Other exit codes say that it could not do its work: it was killed, or somebody has the device.
    if (!(error instanceof ToolError) || error.exitCode === killed) throw error
    if ((error.exitCode & canceled) !== 0 || (error.exitCode & uncorrected) === 0) throw error
    return { repaired: [], damaged: damage(preparation, target, error) }
  }
}
