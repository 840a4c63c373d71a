import { check, isFinding } from '../../../runtime-shim/agent/overlay/check.ts'
import type { Target } from '../../../runtime-shim/agent/overlay/preparation.ts'
import { hasSuperblock } from '../../../runtime-shim/agent/overlay/superblock-copy.ts'
import { runTool, ToolError } from '../../../runtime-shim/agent/overlay/tools.ts'
import { thirdDescriptor } from '../../../runtime-shim/image/unprivileged.ts'
import { namesInRoot } from '../../../runtime-shim/mount/ext3-root.ts'
import { overlayRecordName } from '../../../runtime-shim/mount/names.ts'
import { readSuperblock } from '../../../runtime-shim/mount/superblock.ts'
import { Refusal } from '../../shared/refusal.ts'
import type { Layout } from '../layout.ts'
import { inform, warn } from '../say.ts'
import { withOverlay } from './file.ts'

/** Of e2fsck(8)'s exit codes: errors are there, and it was not to correct them. */
const uncorrected = 4
/** It could not go on. */
const failed = 8

/** What e2fsck asks behind what it found; the answer is always the same one. */
const question =
  /\s*(?:Fix|Clear|Clear inode|Clear HTree index|Clear flag|Clone multiply-claimed blocks|Connect to \/lost\+found|Salvage|Allocate|Expand|Create|Recreate|Relocate|Truncate|Split|Abort|Delete file|Unlink|Optimize|Continue|Ignore error|Force rewrite|Suppress messages)\? no$/

/** So many of its findings are told: of a badly damaged image there are hundreds, which tell nobody more. */
const toldLines = 24

interface Teller {
  tell(line: string): void
  /** How many more there were. */
  end(): void
}

const tellerOf = (shown: string): Teller => {
  let count = 0
  return {
    tell: (line) => {
      const finding = line.replace(question, '').replaceAll(thirdDescriptor, shown)
      if (finding === '' || !isFinding(finding)) return
      count += 1
      if (count <= toldLines) inform(finding)
    },
    end: () => {
      if (count > toldLines) inform(`(of e2fsck's lines ${count - toldLines} or more are left out)`)
    },
  }
}

const lastLines = 2

/** The tool's own failure, in the words of this command line. */
const wordsOf = ({ exitCode, output }: ToolError, shown: string): string => {
  const last = output.filter(isFinding).slice(-lastLines).join('; ').replaceAll(thirdDescriptor, shown)
  return last === '' ? `exit code ${exitCode}` : `exit code ${exitCode}: ${last}`
}

/** What is left to do where that does not help which needs nobody's judgement. */
const byHand = ({ what, extent: { offset } }: Pick<Target, 'what' | 'extent'>): string => {
  const place = (file: string): string => (offset === 0 ? file : `'${file}?offset=${offset}'`)
  return `restore it from a backup; without one, cp ${what} ${what}.copy and e2fsck -f -y ${place(`${what}.copy`)}, which mends it at the price of files; debugfs -c -R 'rdump /upper DIRECTORY' ${place(what)} reads what can still be read`
}

/**
 * An overlay whose `upper/` is gone lacks all that was written, though its file system is whole.
 *
 * @throws Refusal
 */
const assertUpper = ({ fd, extent, what }: Pick<Target, 'fd' | 'extent' | 'what'>): void => {
  const names = namesInRoot(fd, extent.offset)
  if (names.includes('upper') || !names.includes(overlayRecordName)) return
  throw new Refusal(
    `${what}: its file system is whole, but has no upper/, where its files were: look for that in its lost+found (mount -o ro,loop ${what} DIRECTORY), or restore a copy`,
  )
}

const report = async ({ fd, extent, what, undertaking }: Target, { tell }: Teller): Promise<boolean> => {
  const cutOff = undertaking.read() !== undefined
  if (!hasSuperblock(fd, extent.offset)) {
    inform(`${what}: its superblock is lost, of which there is a copy`)
    return false
  }
  const { needsRecovery } = readSuperblock(fd, extent.offset)
  if (cutOff) inform(`${what}: making it larger was cut off`)
  if (needsRecovery) inform(`${what}: was not cleanly unmounted: what is in its journal is not looked at`)
  const isSound = await runTool(
    { fd },
    { tool: 'e2fsck', options: ['-f', '-n'], offset: extent.offset, accepted: [0, uncorrected], onLine: tell },
  ).then(
    ({ exitCode }) => exitCode === 0,
    (error: unknown) => {
      // With errors of which it could not see the end.
      if (error instanceof ToolError && error.exitCode === (uncorrected | failed)) return false
      throw error
    },
  )
  if (!isSound || cutOff) return false
  assertUpper({ fd, extent, what })
  return true
}

const repair = async (target: Target, { tell }: Teller): Promise<boolean> => {
  const isOurDoing = target.undertaking.read() !== undefined
  const { repaired, damaged } = await check(
    target,
    { overlay: target.what, onProgress: tell },
    isOurDoing ? 'all' : 'preen',
  )
  if (damaged !== undefined) return false
  await target.undertaking.clear()
  if (repaired.some((line) => /cleared/i.test(line))) warn(`${target.what}: what was cleared is lost`)
  if (repaired.length > 0) inform(`${target.what}: mended`)
  assertUpper(target)
  return true
}

const look = async (target: Target, { mends }: { mends: boolean }): Promise<void> => {
  const { what } = target
  const teller = tellerOf(what)
  const next = mends ? byHand(target) : `lamina overlay check --repair ${what} mends what it safely can`
  let isWhole: boolean
  try {
    isWhole = await (mends ? repair : report)(target, teller)
  } catch (error) {
    if (!(error instanceof ToolError)) throw error
    throw new Refusal(`e2fsck could not go over ${what} (${wordsOf(error, what)}). If that is damaged: ${next}`)
  } finally {
    teller.end()
  }
  if (isWhole) return
  throw new Refusal(mends ? `${what} has errors that e2fsck -p does not mend: ${next}` : `${what} has errors: ${next}`)
}

/**
 * Goes over an overlay's file system with e2fsck; mends it only when told, and only what needs nobody's judgement.
 *
 * @throws Refusal where it is not whole, with what to do
 */
export const checkOverlay = async (shown: string, { mends }: { mends: boolean }, layout: Layout): Promise<void> => {
  await withOverlay(shown, mends ? 'write' : 'read', layout, (target) => look(target, { mends }))
  inform(`${shown} is whole`)
}
