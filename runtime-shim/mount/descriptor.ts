import { closeSync } from 'node:fs'

/** Closes the descriptor, and with it the locks taken on it, when `act` fails. */
export const holding = <T>(fd: number, act: () => T): T => {
  try {
    return act()
  } catch (error) {
    closeSync(fd)
    throw error
  }
}
