/** Manifests that the API server lets pass or refuses: the tests try them, docs/errors.md shows the first of each. */

export type Judged = Record<string, unknown> & { metadata: object }

/** A rule that looks at one object, with what it lets pass and what not. */
export interface Rule {
  message: string
  /** What kubectl says before it, of the first that is refused: the field and its value. */
  at: string
  allowed: Judged[]
  refused: Judged[]
}

/** A rule that compares with what was there. */
export interface UpdateRule extends Rule {
  before: Judged
}

export const labelMessage = (longest: number): string =>
  `metadata.name must be a DNS label of at most ${longest} characters: lower-case letters, digits and "-"`

/** The message about a digest in a status. */
export const digestMessage = 'digest must be sha256: and 64 hexadecimal digits, or sha512: and 128, in lower case'

export const nameMessage = (field: string, kind: string): string =>
  `${field} must be the name of a ${kind}: lower-case letters, digits and "-"`

export const objectNameMessage = (field: string, kind: string): string =>
  `${field} must be the name of a ${kind}: lower-case letters, digits, "-" and "."`

export const pathMessage = (example: string): string =>
  `path is relative to the volume, has names between single slashes, and neither . nor .. nor control characters: ${example}`
