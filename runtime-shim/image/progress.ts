import { mebibytes } from '../../kube/quantity.ts'

/** How far a download is, for people. @param total undefined when the server does not tell */
export const downloaded = (bytes: number, total: number | undefined): string => {
  if (total === undefined) return `downloaded ${mebibytes(bytes)}`
  const percent = total === 0 ? 100 : Math.floor((Math.min(bytes, total) / total) * 100)
  return `downloaded ${mebibytes(bytes)} of ${mebibytes(total)} (${percent} %)`
}

/** How often a download tells how far it is. */
export const progressMs = 1_000
