/** Between the loader and the program, which are two bundles. */
const offer = Symbol.for('lamina.keep-code')

export const offerToKeep = (keep: () => void): void => {
  Object.assign(globalThis, { [offer]: keep })
}

/** Keeps the code of all that has run by now, unless that is there already; to be called as late as can be. */
export const keepCode = (): void => {
  const keep: unknown = Reflect.get(globalThis, offer)
  if (typeof keep !== 'function') return
  try {
    keep()
  } catch {
    // A start without it takes longer; that is all.
  }
}
