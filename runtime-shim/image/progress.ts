/** Whole MiB, rounded up. */
export const mebibytes = (bytes: number): number => Math.ceil(bytes / 2 ** 20)

/** How far a download is, for people. @param total undefined when the server does not tell */
export const downloaded = (bytes: number, total: number | undefined): string => {
  if (total === undefined) return `downloaded ${mebibytes(bytes)} MiB`
  const percent = total === 0 ? 100 : Math.floor((Math.min(bytes, total) / total) * 100)
  return `downloaded ${mebibytes(bytes)} of ${mebibytes(total)} MiB (${percent} %)`
}

/** How often a download tells how far it is. */
export const progressMs = 1_000
