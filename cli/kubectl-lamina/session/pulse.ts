/** An API server that says nothing for so long, asked six times, is gone. */
const longestSilenceMs = 60_000

/**
 * What a pipe holds. More than that may stand before a command that does not read, and
 * the API server looks at our ping only when it has passed on what came before.
 */
const mostUnread = 1 << 16

/** Tells whether the other side is still there: a network that is gone closes no connection. */
export const createPulse = (nowMs: () => number = () => performance.now()) => {
  let heardMs = nowMs()
  let unread = 0
  const heard = (): void => {
    heardMs = nowMs()
  }
  return {
    /** Something came. */
    heard,
    /** A ping was answered: all that was sent before it has been read. */
    answered: (): void => {
      unread = 0
      heard()
    },
    /** So many bytes were sent. */
    sent: (bytes: number): void => {
      unread += bytes
    },
    /** @param isHeldBack we read nothing ourselves now */
    isLost: (isHeldBack: boolean): boolean => {
      if (isHeldBack || unread > mostUnread) heard()
      return nowMs() - heardMs >= longestSilenceMs
    },
  }
}
