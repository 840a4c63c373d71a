import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import type { Clock } from '../../../kube/clock.ts'
import { createSerializer } from '../../../kube/serially.ts'
import { assertNumbers } from '../../mount/device.ts'
import { descriptorPath } from '../../mount/open.ts'
import { figuresOf, parseSuperblock, superblockAt } from '../../mount/superblock.ts'
import { O_PATH } from '../../mount/syscalls.ts'
import { notRecorded } from '../../node/figures.ts'
import type { Figures, RecordedOverlay } from '../../node/ticket.ts'

/** Null where they cannot be had: the kubelet has taken the volume away, or it does not answer. */
export type FiguresReader = (overlay: RecordedOverlay) => Promise<Figures | null>

/** Looked at before it is opened: a FIFO planted in its place would block, a device would act. */
const openRecorded = async ({ path, dev, ino, device }: RecordedOverlay): Promise<FileHandle> => {
  await using probe = await open(path, device ? O_PATH : O_PATH | constants.O_NOFOLLOW)
  const stats = await probe.stat({ bigint: true })
  if (device) assertNumbers(stats, path, device)
  else if (!stats.isFile() || String(stats.dev) !== dev || String(stats.ino) !== ino) throw notRecorded(path)
  return await open(descriptorPath(probe.fd), constants.O_RDONLY)
}

/** The same as `figuresIn` ({@link ../../node/figures.ts}), in Node's threads. */
const read = async (overlay: RecordedOverlay): Promise<Figures | null> => {
  if (overlay.ext3Offset === null) return null
  await using file = await openRecorded(overlay)
  const { offset, size } = superblockAt(overlay.ext3Offset)
  const { bytesRead, buffer } = await file.read(Buffer.alloc(size), 0, size, offset)
  return figuresOf(parseSuperblock(buffer.subarray(0, bytesRead)))
}

const answersWithinMs = 5_000

/**
 * Reads overlays one at a time, each for five seconds at most. One whose volume
 * is dead costs a thread of the four that Node has: while it does, no other is
 * read, and all go without.
 */
export const createFiguresReader = (clock: Clock, readOne: FiguresReader = read): FiguresReader => {
  const oneAtATime = createSerializer()
  let isUnderWay = false
  const limited = async (overlay: RecordedOverlay): Promise<Figures | null> => {
    if (isUnderWay) return null
    isUnderWay = true
    let cancel = (): void => {}
    const late = new Promise<null>((resolve) => {
      cancel = clock.setTimeout(() => resolve(null), answersWithinMs)
    })
    const figures = readOne(overlay)
      .catch(() => null)
      .finally(() => {
        isUnderWay = false
        cancel()
      })
    return Promise.race([figures, late])
  }
  return (overlay) => oneAtATime('figures', () => limited(overlay))
}
