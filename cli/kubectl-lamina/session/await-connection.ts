/** So long a node may take to begin. */
const patienceMs = 30_000

/**
 * Waits for a connection until the signal is aborted, or nobody has answered for too long; one that comes later is
 * closed.
 *
 * @throws the signal's reason, or what the connection fails of
 */
export const awaitConnection = async <T extends { terminate(): void }>(
  connecting: Promise<T>,
  signal: AbortSignal,
  longestMs = patienceMs,
): Promise<T> => {
  const { promise, resolve, reject } = Promise.withResolvers<T>()
  const giveUp = (): void => reject(signal.reason)
  const timer = setTimeout(() => reject(new Error(`no answer within ${longestMs / 1000} s`)), longestMs)
  signal.addEventListener('abort', giveUp)
  if (signal.aborted) giveUp()
  connecting.then(resolve, reject)
  try {
    return await promise
  } catch (error) {
    connecting.then(
      (late) => late.terminate(),
      () => {},
    )
    throw error
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', giveUp)
  }
}
