import { constants, mkdirSync, openSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { inMemory, type OpenBase, type OpenOverlay } from '../../../runtime-shim/mount/parts.ts'
import { mountRoot } from '../../../runtime-shim/mount/root.ts'
import { rootTarget } from '../layout.ts'
import { findInit, initPath } from '../process/init.ts'
import { openImage, realPathOf } from '../root/base.ts'
import { mountPoints, type PlannedMount, planMounts } from '../root/mount-plan.ts'
import { makeMounts } from '../root/mounts.ts'
import { explainOverlay, type FoundOverlay, findOverlays, openFound } from '../root/overlays.ts'
import { warn } from '../say.ts'
import type { Caller, RunRequest } from './request.ts'

const isDirectory = (path: string): boolean | undefined => statSync(path, { throwIfNoEntry: false })?.isDirectory()

/** @throws Refusal when the source of a bind is not there */
export const plan = (request: RunRequest, { home, cwd }: Caller): PlannedMount[] => {
  const binds = request.binds.map((bind) => ({ ...bind, source: realPathOf(bind.source, 'the source of --bind,') }))
  const init = request.ownProcesses ? { source: findInit(), destination: initPath } : undefined
  return planMounts({ ...request, binds, init }, { home, cwd, isDirectory })
}

export interface OpenParts {
  base: OpenBase
  found: readonly FoundOverlay[]
  overlays: readonly OpenOverlay[]
}

/** Opens and locks all that the root is made of. @throws Refusal */
export const openParts = (imagePath: string, request: RunRequest): OpenParts => {
  const found = findOverlays(request.overlays)
  const base = openImage(imagePath)
  return { base, found, overlays: openFound(found) }
}

/** What other tools have written into the overlay that is to be written becomes the kernel's. @throws Refusal */
export const takeOverForeign = async ({ overlays }: OpenParts, { layout }: Caller): Promise<void> => {
  for (const overlay of overlays) {
    if (overlay.source.access !== 'ReadWrite' || overlay.content.kind !== 'ext3') continue
    const { takeOver } = await import('../root/take-over.ts')
    await takeOver(overlay, layout.lockDir)
  }
}

export const openRoot = (path: string): number => openSync(path, constants.O_RDONLY | constants.O_DIRECTORY)

/**
 * Moves this thread into a mount namespace of its own, with the root in it and all
 * mounts on that.
 *
 * @returns a descriptor of the root
 * @throws Refusal
 */
export const makeRoot = (
  { base, found, overlays }: OpenParts,
  mounts: readonly PlannedMount[],
  { layout }: Caller,
): number => {
  const target = rootTarget(layout)
  // What is made for the mounts is nobody's secret.
  const umask = process.umask(0o022)
  mkdirSync(dirname(target), { recursive: true })
  const isWritten = found.some(({ access }) => access === 'ReadWrite')
  try {
    const mounted = mountRoot({
      target,
      lockDir: layout.lockDir,
      overlays,
      mountLabel: '',
      skeleton: mountPoints(mounts),
      base: { ...base, recorded: undefined },
      ephemeral: isWritten ? undefined : inMemory,
    })
    for (const { overlay, damage } of mounted) if (damage !== null) warn(`overlay ${overlay.source.name}: ${damage}`)
  } catch (error) {
    throw explainOverlay(found, error)
  }
  const root = openRoot(target)
  makeMounts(root, mounts)
  process.umask(umask)
  return root
}
