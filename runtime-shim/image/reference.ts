/** What an image reference names: https://pkg.go.dev/github.com/distribution/reference */
export interface ImageReference {
  /** With its registry: `docker.io/library/debian`. */
  repository: string
  tag: string | undefined
  digest: string | undefined
}

const domain =
  /^(\[[a-fA-F0-9:]+\]|[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?)*)(:\d+)?$/
const path = /^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$/
const tagPattern = /^\w[\w.-]{0,127}$/
const digestPattern = /^(sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128})$/

const withRegistry = (name: string): [string, string] => {
  const slash = name.indexOf('/')
  const first = slash === -1 ? '' : name.slice(0, slash)
  if (/[.:]/.test(first) || first === 'localhost' || first !== first.toLowerCase())
    return [first, name.slice(slash + 1)]
  return ['docker.io', slash === -1 ? `library/${name}` : name]
}

/** Undefined when it is none. `debian` is `docker.io/library/debian`, as everywhere. */
export const parseReference = (text: string): ImageReference | undefined => {
  const [rest = '', digest, ...more] = text.split('@')
  const colon = rest.indexOf(':', rest.lastIndexOf('/') + 1)
  const name = colon === -1 ? rest : rest.slice(0, colon)
  const tag = colon === -1 ? undefined : rest.slice(colon + 1)
  const [registry, repository] = withRegistry(name)
  const isValid =
    more.length === 0 &&
    domain.test(registry) &&
    path.test(repository) &&
    tagPattern.test(tag ?? 'latest') &&
    (digest === undefined || digestPattern.test(digest))
  return isValid ? { repository: `${registry}/${repository}`, tag, digest } : undefined
}

/** A digest says it all; with a tag beside it, the tag is left out. */
export const formatReference = ({ repository, tag, digest }: ImageReference): string =>
  digest === undefined ? `${repository}:${tag ?? 'latest'}` : `${repository}@${digest}`

export const registryOf = ({ repository }: ImageReference): string => repository.slice(0, repository.indexOf('/'))
