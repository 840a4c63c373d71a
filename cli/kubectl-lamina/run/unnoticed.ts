const patienceMs = 10_000

/**
 * Tells that nobody has looked at an object, when it has been so for a while: else there would be nothing to see.
 *
 * @returns takes that back: somebody has
 */
export const tellUnnoticed = (tell: (line: string) => void): (() => void) => {
  const words = 'the controller has not looked at it yet; kubectl lamina doctor tells whether it is up'
  const timer = setTimeout(() => tell(words), patienceMs)
  return () => clearTimeout(timer)
}
