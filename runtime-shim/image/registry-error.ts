import { RegistryError, type RegistryErrorKind } from './errors.ts'
import type { Remote } from './inspect.ts'
import { formatReference, registryOf } from './reference.ts'

/** What skopeo's own words stand for; the first that fits. */
const signs: readonly [RegistryErrorKind, RegExp][] = [
  // A signature that could not be asked for is another matter.
  ['Refused', /Source image rejected: (?!.*\bGet "?http)/],
  ['NoSpace', /no space left on device|disk quota exceeded/i],
  [
    'Unauthorized',
    /unauthorized|authentication required|\bdenied: |access to the resource is denied|\b40[13] |invalid username/i,
  ],
  [
    'Unreachable',
    /connection refused|no such host|timeout|timed out|deadline exceeded|x509:|tls:|HTTP response to HTTPS|unreachable|no route to host|connection reset|EOF|\b50[0234] |toomanyrequests|server misbehaving/i,
  ],
  ['NotFound', /manifest unknown|name unknown|not found|\b404 /i],
]

export const kindOf = (words: string): RegistryErrorKind => signs.find(([, sign]) => sign.test(words))?.[0] ?? 'Other'

/** The message of the last line of skopeo's log. */
const messageOf = (stderr: string): string => {
  const line = stderr.trim().split('\n').at(-1) ?? ''
  const quoted = /msg=("(?:[^"\\]|\\.)*")/.exec(line)?.[1]
  const message: unknown = quoted === undefined ? line : JSON.parse(quoted)
  return String(message)
}

/** The same, without what only repeats the command or its outcome. */
export const wordsOf = (stderr: string): string =>
  messageOf(stderr)
    .replace(/^Error parsing image name "[^"]*": /, '')
    .replace(/^(copying image from source to destination: )?Source image rejected: /, '')
    // Our own port differs each time: the same trouble is to have the same words.
    .replace(/:\d+->/, '->')

const advice = (kind: RegistryErrorKind, { reference, source, access }: Remote, words: string): string => {
  const image = `"${formatReference(reference)}"`
  const pullSecrets = `spec.source.${source}.pullSecrets`
  switch (kind) {
    case 'NotFound':
      return `${image} is not in the registry (${words}): check its name and tag`
    case 'Unauthorized':
      return access.authFile === undefined
        ? `the registry wants credentials for ${image} (${words}): name a Secret of type kubernetes.io/dockerconfigjson for ${registryOf(reference)} in ${pullSecrets}`
        : `the registry refuses ${image} to the credentials of ${pullSecrets}, or it does not exist (${words}): check that one of them is for ${registryOf(reference)} and may read it`
    case 'Unreachable':
      return `the registry of ${image} cannot be reached (${words}); it is tried again`
    case 'Refused':
      return `${image} is refused by the signature policy (${words}): sign it with a key that the policy names, or have an administrator change the policy (policyJson of the chart)`
    default:
      return `${image} cannot be read from its registry: ${words}`
  }
}

/** @param stderr what skopeo said before it failed */
export const registryError = (remote: Remote, stderr: string): RegistryError => {
  const kind = kindOf(messageOf(stderr))
  return new RegistryError(kind, advice(kind, remote, wordsOf(stderr)))
}
