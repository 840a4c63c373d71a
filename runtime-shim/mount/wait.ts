const cell = new Int32Array(new SharedArrayBuffer(4))

/** Blocks the thread: in the runtime nothing else may run between its steps. */
export const sleepSync = (milliseconds: number): void => {
  Atomics.wait(cell, 0, 0, milliseconds)
}

/**
 * Asks until there is an answer or the time is up; a failure that `retries`
 * accepts counts as no answer. Throws the last such failure.
 */
export const retrySync = <T>(
  ask: () => T,
  retries: (error: unknown) => boolean,
  { forMs, everyMs }: { forMs: number; everyMs: number },
): T => {
  const deadline = performance.now() + forMs
  for (;;) {
    try {
      return ask()
    } catch (error) {
      if (!retries(error) || performance.now() > deadline) throw error
    }
    sleepSync(everyMs)
  }
}
