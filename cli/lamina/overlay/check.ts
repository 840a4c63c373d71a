import { check, isFinding } from '../../../runtime-shim/agent/overlay/check.ts'
import type { Target } from '../../../runtime-shim/agent/overlay/preparation.ts'
import { runTool, ToolError } from '../../../runtime-shim/agent/overlay/tools.ts'
import { readSuperblock } from '../../../runtime-shim/mount/superblock.ts'
import { Refusal } from '../../shared/refusal.ts'
import type { Layout } from '../layout.ts'
import { inform } from '../say.ts'
import { withOverlay } from './file.ts'

/** Of e2fsck(8)'s exit codes: errors are there, and it was not to correct them. */
const uncorrected = 4

const tell = (line: string): void => {
  if (isFinding(line)) inform(line)
}

/** The tool's own failure, in the words of this command line. */
const toolRefusal = (error: unknown): unknown => {
  if (error instanceof ToolError) return new Refusal(error.message)
  return error
}

const report = async ({ fd, extent, what, undertaking }: Target): Promise<boolean> => {
  const cutOff = undertaking.read() !== undefined
  const { needsRecovery } = readSuperblock(fd, extent.offset)
  if (cutOff) inform(`${what}: making it larger was cut off`)
  if (needsRecovery) inform(`${what}: was not cleanly unmounted: what is in its journal is not looked at`)
  const { exitCode } = await runTool(
    { fd },
    { tool: 'e2fsck', options: ['-f', '-n'], offset: extent.offset, accepted: [0, uncorrected], onLine: tell },
  )
  return exitCode === 0 && !cutOff
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
  if (repaired.length > 0) inform(`${target.what}: mended`)
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
