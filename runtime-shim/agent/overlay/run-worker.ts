import { spawn } from 'node:child_process'
import { programBeside } from '../apart/run.ts'
import type { LockedFile } from './preparation.ts'
import { descriptorsOf } from './tools.ts'
import { type WorkerAnswer, type WorkerTask, workerAnswerSchema } from './worker/task.ts'

/** The bundle of {@link ./worker/main.ts}. */
export const workerProgram = (): string => programBeside('overlay-worker.cjs')

/** A worker ended without an answer. */
class WorkerError extends Error {
  override name = 'WorkerError'
}

/**
 * Has a task done by the program {@link ./worker/main.ts}, for which the file is
 * the overlay.
 *
 * @throws WorkerError
 */
export const runWorker = (program: string, file: LockedFile, task: WorkerTask): Promise<WorkerAnswer> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, JSON.stringify(task)], {
      stdio: ['ignore', 'pipe', 'pipe', ...descriptorsOf(file)],
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
    })
    const said = { stdout: '', stderr: '' }
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      said.stdout += text
    })
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      said.stderr += text
    })
    child.once('error', reject)
    child.once('close', (code, signal) => {
      if (code === 0) resolve(workerAnswerSchema.parse(JSON.parse(said.stdout)))
      else reject(new WorkerError(`the overlay worker ended with ${signal ?? code}: ${said.stderr.trim()}`))
    })
  })
