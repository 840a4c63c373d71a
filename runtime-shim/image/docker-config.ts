import * as z from 'zod'

/** Contents of a pull secret do not parse. The message never shows any of them. */
export class DockerConfigError extends Error {
  override name = 'DockerConfigError'
  /** Position in the list, from 0. */
  readonly index: number
  constructor(index: number, count: number, problem: string) {
    const which = count === 1 ? 'the pull secret' : `pull secret ${index + 1} of ${count}`
    super(`${which} ${problem}: make it anew with kubectl create secret docker-registry`)
    this.index = index
  }
}

const credentialsSchema = z.object({
  /** base64 of user:password. */
  auth: z.string().optional(),
  username: z.string().optional(),
  password: z.string().optional(),
  identitytoken: z.string().optional(),
})
type Credentials = z.infer<typeof credentialsSchema>

const hostsSchema = z.record(z.string(), credentialsSchema)
/** `.dockerconfigjson`. Credential helpers are programs to run, and are not taken from a secret. */
const configSchema = z.object({ auths: hostsSchema.default({}) })

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    // The parser's own message quotes the text.
    return undefined
  }
}

const isLegacy = (value: object): boolean => !('auths' in value || 'credHelpers' in value || 'credsStore' in value)

const hostsOf = (text: string, index: number, count: number): Record<string, Credentials> => {
  const value = parseJson(text)
  if (typeof value !== 'object' || value === null) throw new DockerConfigError(index, count, 'is not JSON')
  const parsed = isLegacy(value)
    ? hostsSchema.safeParse(value)
    : configSchema.transform(({ auths }) => auths).safeParse(value)
  if (parsed.success) return parsed.data
  const where = parsed.error.issues[0]?.path.join('.') ?? ''
  throw new DockerConfigError(index, count, `has no registry credentials at "${where}"`)
}

const dockerHub = new Set(['docker.io', 'index.docker.io', 'registry-1.docker.io'])

/** `https://index.docker.io/v1/` and `docker.io` are one; a path after a bare host stays: it narrows the credentials. */
const normalizeHost = (key: string): string => {
  const host = /^https?:\/\/([^/]+)/.exec(key)?.[1] ?? key.replace(/\/+$/, '')
  return dockerHub.has(host) ? 'docker.io' : host
}

const encode = ({ auth, username, password, identitytoken }: Credentials): object => ({
  ...(auth || username === undefined
    ? { auth: auth ?? '' }
    : { auth: Buffer.from(`${username}:${password ?? ''}`).toString('base64') }),
  ...(identitytoken ? { identitytoken } : {}),
})

/**
 * One auth file (containers-auth.json(5)) of the contents of several pull
 * secrets, `.dockerconfigjson` or the older `.dockercfg`. For a host that is in
 * more than one, the first counts.
 *
 * @throws DockerConfigError
 */
export const mergeDockerConfigs = (configs: readonly string[]): string => {
  const auths = new Map<string, object>()
  for (const [index, text] of configs.entries()) {
    for (const [key, credentials] of Object.entries(hostsOf(text, index, configs.length))) {
      const host = normalizeHost(key)
      if (!auths.has(host)) auths.set(host, encode(credentials))
    }
  }
  return JSON.stringify({ auths: Object.fromEntries(auths) })
}
