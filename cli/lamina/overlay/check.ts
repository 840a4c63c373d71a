import { check, isFinding } from '../../../runtime-shim/agent/overlay/check.ts'
import type { Target } from '../../../runtime-shim/agent/overlay/preparation.ts'
import { hasSuperblock } from '../../../runtime-shim/agent/overlay/superblock-copy.ts'
import { runTool, ToolError } from '../../../runtime-shim/agent/overlay/tools.ts'
import { namesInRoot } from '../../../runtime-shim/mount/ext3-root.ts'
import { overlayRecordName } from '../../../runtime-shim/mount/names.ts'
import { readSuperblock } from '../../../runtime-shim/mount/superblock.ts'
import { Refusal } from '../../shared/refusal.ts'
import type { Layout } from '../layout.ts'
import { inform, warn } from '../say.ts'
import { withOverlay } from './file.ts'

/** Of e2fsck(8)'s exit codes: errors are there, and it was not to correct them. */
const uncorrected = 4

/** What e2fsck asks behind what it found; the answer is always the same one. */
const question =
  /\s*(?:Fix|Clear|Clear inode|Clear HTree index|Clear flag|Clone multiply-claimed blocks|Connect to \/lost\+found|Salvage|Allocate|Expand|Create|Recreate|Relocate|Truncate|Split|Abort|Delete file|Unlink|Optimize|Continue|Ignore error|Force rewrite|Suppress messages)\? no$/

const tell = (line: string): void => {
  const finding = line.replace(question, '')
  if (finding !== '' && isFinding(finding)) inform(finding)
}

/** The tool's own failure, in the words of this command line. */
const toolRefusal = (error: unknown): unknown => {
  if (error instanceof ToolError) return new Refusal(error.message)
  return error
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

const report = async ({ fd, extent, what, undertaking }: Target): Promise<boolean> => {
  const cutOff = undertaking.read() !== undefined
  if (!hasSuperblock(fd, extent.offset)) {
    inform(`${what}: its superblock is lost, of which there is a copy`)
    return false
  }
  const { needsRecovery } = readSuperblock(fd, extent.offset)
  if (cutOff) inform(`${what}: making it larger was cut off`)
  if (needsRecovery) inform(`${what}: was not cleanly unmounted: what is in its journal is not looked at`)
  const { exitCode } = await runTool(
    { fd },
    { tool: 'e2fsck', options: ['-f', '-n'], offset: extent.offset, accepted: [0, uncorrected], onLine: tell },
  )
  if (exitCode !== 0 || cutOff) return false
  assertUpper({ fd, extent, what })
  return true
}

const repair = async (target: Target): Promise<boolean> => {
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

/**
 * Goes over an overlay's file system with e2fsck; mends it only when told, and only what needs nobody's judgement.
 *
 * @throws Refusal where it is not whole, with what to do
 */
export const checkOverlay = async (shown: string, { mends }: { mends: boolean }, layout: Layout): Promise<void> => {
  try {
    const isWhole = await withOverlay(shown, mends ? 'write' : 'read', layout, mends ? repair : report)
    if (!isWhole && mends)
      throw new Refusal(
        `${shown} has errors that e2fsck -p does not mend: copy what you need with ${shown}:ro, or keep a copy of the file and run e2fsck -f ${shown}`,
      )
    if (!isWhole)
      throw new Refusal(`${shown} has errors: lamina overlay check --repair ${shown} mends what it safely can`)
  } catch (error) {
    throw toolRefusal(error)
  }
  inform(`${shown} is whole`)
}
