import { closeSync, lstatSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { hasCode } from './error-code.ts'
import { descriptorPath, openDirectoryBelow } from './open.ts'

/**
 * Beside `upper/`: a little room that is kept while there is some. overlayfs makes
 * files of its own in `work/` at each mount, so an overlay that is full to the
 * last inode or block could not be mounted, and nobody could delete anything in it.
 */
const roomName = '.lamina-room'
const emptyFiles = ['1', '2', '3', '4', '5', '6', '7']
/** Made last: with it the room is whole. */
const blocks = { name: '0', bytes: 65_536 }

export const isFull = (error: unknown): boolean => hasCode(error, 'ENOSPC', 'EDQUOT')

/** What can wait until there is room. */
export const unlessFull = (act: () => void): void => {
  try {
    act()
  } catch (error) {
    if (!isFull(error)) throw error
  }
}

/** Never opens what is there: it may have been planted. */
const make = (path: string, content: string | Buffer = ''): void => {
  try {
    writeFileSync(path, content, { flag: 'wx' })
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return
    rmSync(path, { force: true })
    throw error
  }
}

const fill = (top: number): void => {
  try {
    mkdirSync(`${descriptorPath(top)}/${roomName}`, 0o700)
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error
  }
  const fd = openDirectoryBelow(top, roomName, roomName)
  try {
    for (const name of emptyFiles) make(`${descriptorPath(fd)}/${name}`)
    make(`${descriptorPath(fd)}/${blocks.name}`, Buffer.alloc(blocks.bytes))
  } finally {
    closeSync(fd)
  }
}

/** Keeps room in the overlay whose top directory is open at `top`, as far as there is any. */
export const keepRoom = (top: number): void => {
  if (lstatSync(`${descriptorPath(top)}/${roomName}/${blocks.name}`, { throwIfNoEntry: false })) return
  unlessFull(() => fill(top))
}

/** Gives the room up; to be kept again as soon as overlayfs has had its use of it. */
export const giveUpRoom = (top: number): void =>
  rmSync(`${descriptorPath(top)}/${roomName}`, { recursive: true, force: true })
