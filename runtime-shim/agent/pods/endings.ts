/** For each pod a signal that it has begun to end: who waits for something of it waits no longer. */
export interface Endings {
  signalOf(podUID: string): AbortSignal
  end(podUID: string): void
}

export const createEndings = (): Endings => {
  const controllers = new Map<string, AbortController>()
  return {
    signalOf: (podUID) => {
      const controller = controllers.get(podUID) ?? new AbortController()
      controllers.set(podUID, controller)
      return controller.signal
    },
    end: (podUID) => {
      controllers.get(podUID)?.abort()
      controllers.delete(podUID)
    },
  }
}
