import { Refusal } from '../../shared/refusal.ts'

/** What an image argument names. */
export type ImageSource =
  /** A squashfs, SIF, `.simg`, or the directory of a sandbox. */
  | { kind: 'path'; path: string }
  /** In a registry. */
  | { kind: 'registry'; reference: string }
  /** What skopeo reads without a registry (containers-transports(5)). */
  | { kind: 'local'; transport: LocalTransport; name: string }
  | { kind: 'instance'; name: string }

const localTransports = ['docker-archive', 'oci-archive', 'oci', 'dir'] as const
type LocalTransport = (typeof localTransports)[number]

const isLocalTransport = (word: string): word is LocalTransport => localTransports.some((each) => each === word)

const noLonger = new Map(
  Object.entries({
    shub: 'Singularity Hub no longer exists: take the image from a registry, docker://ubuntu for example',
    library: 'pull it with apptainer or singularity, and give the file; or take docker://IMAGE',
    oras: 'pull it with apptainer or oras, and give the file',
    http: 'download the file, and give its path',
    https: 'download the file, and give its path',
    'docker-daemon': 'save it with `docker save -o image.tar IMAGE`, and give docker-archive:image.tar',
  }),
)

const required = (text: string, rest: string): string => {
  if (rest === '') throw new Refusal(`"${text}" names no image: docker://debian:12 does, for example`)
  return rest
}

/** @throws Refusal for what cannot be had, with what can be had instead */
export const parseSource = (text: string): ImageSource => {
  if (text === '') throw new Refusal('the image has no name: give a file, a directory or docker://IMAGE')
  const [, scheme, rest = ''] = /^([a-z][a-z-]*):(.*)$/s.exec(text) ?? []
  if (scheme === undefined) return { kind: 'path', path: text }
  const name = rest.replace(/^\/\//, '')
  if (scheme === 'docker') return { kind: 'registry', reference: required(text, name) }
  if (scheme === 'instance') return { kind: 'instance', name: required(text, name) }
  if (isLocalTransport(scheme)) return { kind: 'local', transport: scheme, name: required(text, rest) }
  const advice = noLonger.get(scheme)
  if (advice !== undefined) throw new Refusal(`${text}: ${advice}`)
  return { kind: 'path', path: text }
}
