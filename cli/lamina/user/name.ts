import { userInfo } from 'node:os'

/** The caller's name; undefined where the machine knows none. */
export const userName = (): string | undefined => {
  try {
    return userInfo().username
  } catch {
    return undefined
  }
}
