import { realpathSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname } from 'node:path'

/** A directory, and all that it lies in, the nearest first. */
const withParents = (directory: string): string[] =>
  directory === '/' ? ['/'] : [directory, ...withParents(dirname(directory))]

const isOpenToOthers = (mode: number): boolean => (mode & 0o022) !== 0
const isSticky = (mode: number): boolean => (mode & 0o1000) !== 0

/** Whether what somebody puts there stays what it is: nobody but him and root can take it away, or what it lies in. */
export const isFirm = (directory: string, uid: number): boolean =>
  withParents(realpathSync(directory)).every((each) => {
    const stats = statSync(each)
    return [0, uid].includes(stats.uid) && (!isOpenToOthers(stats.mode) || isSticky(stats.mode))
  })

/** Whether also all that is there is his or root's. */
export const isOwn = (directory: string, uid: number): boolean =>
  isFirm(directory, uid) && !isOpenToOthers(statSync(directory).mode)

/** Not for root where others could put another directory in the place of the one that he makes there. */
export const temporaryDirectory = (): string => {
  const directory = tmpdir()
  return process.getuid?.() === 0 && !isFirm(directory, 0) ? '/tmp' : directory
}
