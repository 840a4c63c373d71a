/**
 * Names inside images are bytes, not text. Here they are strings with one
 * character a byte (latin1), which compare and serve as keys without loss.
 */

export const nameOfBytes = (bytes: Buffer): string => bytes.toString('latin1')
export const bytesOfName = (name: string): Buffer => Buffer.from(name, 'latin1')

/** For messages: UTF-8 where it is, without control characters. */
export const printableName = (name: string): string =>
  bytesOfName(name)
    .toString('utf8')
    .replace(/\p{Cc}/gu, '?')

/** Linux' limits, NAME_MAX and PATH_MAX, which an unpacked image would meet too. */
const longestComponent = 255
export const longestPath = 4095

export const isTooLong = (path: string): boolean =>
  path.length > longestPath || path.split('/').some((component) => component.length > longestComponent)

/**
 * The components of a path below the root. `..` is taken out by the letter and
 * stops at the root, as containerd does (Go's filepath.Clean): the root itself has none.
 */
export const componentsOf = (name: string): string[] => {
  const components: string[] = []
  for (const component of name.split('/')) {
    if (component === '..') components.pop()
    else if (component !== '' && component !== '.') components.push(component)
  }
  return components
}

/** The same, joined: `usr/bin/env`; the root is the empty string. */
export const cleanPath = (name: string): string => componentsOf(name).join('/')
