import { isLabel } from '../../../kube/names.ts'
import { parseReference } from '../../../runtime-shim/image/reference.ts'
import { type CliError, usageError } from '../../shared/cli-error.ts'

/** What an image is made of, where one is to be made. */
export type ImageSource =
  | { kind: 'registry'; image: string }
  | { kind: 'file'; url: string; sha256?: string | undefined }

/** What the word behind `run` can mean, in the order in which it is looked for. */
export interface Target {
  /** Names an Instance. */
  instance?: string
  /** Names a ContainerImage. */
  image?: string
  /** Is a reference, from which one can be made. */
  source?: ImageSource
}

const fileSource = (url: string, sha256: string | undefined): ImageSource => {
  if (url.startsWith('https://') && sha256 === undefined)
    throw usageError(
      `${url}: give --sha256 with what sha256sum says of the file, so that no other can come in its place`,
    )
  return { kind: 'file', url, ...(sha256 === undefined ? {} : { sha256 }) }
}

const noFile = (text: string): CliError =>
  usageError(`--sha256 is for an image that is made of a file (https://, oras://); ${text} is none: leave it out`)

const registrySource = (reference: string, sha256: string | undefined): ImageSource => {
  if (sha256 !== undefined) throw noFile(reference)
  if (parseReference(reference)) return { kind: 'registry', image: reference }
  throw usageError(
    `"${reference}" is no image reference: write debian:12, ghcr.io/owner/name or name@sha256:…, in lower case`,
  )
}

/**
 * A reference from which a ContainerImage can be made.
 *
 * @throws CliError for what is none, and for sources that clusters do not take
 */
export const sourceOf = (text: string, sha256?: string): ImageSource => {
  const [, scheme, rest = ''] = /^([a-z][a-z-]*):\/\/(.*)$/s.exec(text) ?? []
  switch (scheme) {
    case undefined:
      if (/^(docker-archive|docker-daemon|oci|oci-archive|dir|containers-storage):/.test(text) || /^[./~]/.test(text))
        throw usageError(
          `${text} is on this machine, where the cluster cannot see it: push it to a registry (skopeo copy ${text} docker://…), or put it on a web server or a volume`,
        )
      return registrySource(text, sha256)
    case 'docker':
      return registrySource(rest, sha256)
    case 'oras':
    case 'https':
      return fileSource(text, sha256)
    case 'http':
      throw usageError(`${text}: only https:// is taken, with --sha256`)
    case 'shub':
      throw usageError(
        `${text}: Singularity Hub is no more. Take the image from a registry (docker://…), or as a file (https://…)`,
      )
    case 'library':
      throw usageError(`${text}: the library's own protocol is not spoken here. Take oras://, docker:// or https://`)
    default:
      throw usageError(`${text}: ${scheme}:// is not known; known are docker://, oras:// and https://`)
  }
}

const kinds = {
  instance: 'instance',
  inst: 'instance',
  image: 'image',
  cimg: 'image',
  containerimage: 'image',
} as const

const isKind = (word: string): word is keyof typeof kinds => Object.hasOwn(kinds, word)

/** @throws CliError for what can be nothing of these */
export const parseTarget = (text: string, sha256?: string): Target => {
  const [, kind = '', name = ''] = /^([a-z]+)\/([^/]*)$/.exec(text) ?? []
  if (isKind(kind)) {
    if (!isLabel(name)) throw usageError(`"${name}" is no name: lower-case letters, digits and "-"`)
    if (sha256 !== undefined) throw noFile(text)
    return { [kinds[kind]]: name }
  }
  if (/^(overlay|ovl|persistentoverlay)\//.test(text))
    throw usageError(`${text} is an overlay: give an image, and the overlay by --overlay ${name}`)
  const source = sourceOf(text, sha256)
  return isLabel(text) ? { instance: text, image: text, source } : { source }
}
