import { Trouble } from '../trouble.ts'
import type { LockedFile, Preparation, Target } from './preparation.ts'
import { runWorker } from './run-worker.ts'
import type { WorkerAnswer, WorkerTask } from './worker/task.ts'

const notImported = (overlay: string, { error, code }: WorkerAnswer): Trouble =>
  code === 'ENOSPC'
    ? new Trouble(
        'OverlayNoSpace',
        `overlay "${overlay}" is full, and needs a little room to be taken over: grow it, or remove files with the tool that wrote it`,
      )
    : new Trouble('OverlayNotImported', `overlay "${overlay}" cannot be taken over as it is: ${error}`)

const importBy = async (
  file: LockedFile,
  task: WorkerTask,
  { overlay, worker, onProgress }: Preparation,
): Promise<void> => {
  const answer = await runWorker(worker, file, task)
  if (answer.error !== undefined) throw notImported(overlay, answer)
  if (answer.normalised > 0)
    onProgress(`overlay "${overlay}": marks of deleted files rewritten as the kernel knows them: ${answer.normalised}`)
}

/**
 * Takes an ext3 file system over that was found here, with a child process that
 * mounts it: what other tools wrote in forms of their own gets the kernel's. Can
 * be run again after it was cut off; one that is ours already stays as it is.
 *
 * @throws Trouble naming what cannot be taken over
 */
export const importImage = (target: Target, preparation: Preparation): Promise<void> => {
  const { lockDir } = preparation
  const {
    extent: { offset, size },
    growsTo = size,
    directory,
  } = target
  return importBy(
    target,
    directory === null
      ? { kind: 'device', mountAt: lockDir }
      : { kind: 'image', extent: { offset, size: growsTo }, lockDir },
    preparation,
  )
}

/** The same for a directory. */
export const importDirectory = (directory: LockedFile, preparation: Preparation): Promise<void> =>
  importBy(directory, { kind: 'directory' }, preparation)
