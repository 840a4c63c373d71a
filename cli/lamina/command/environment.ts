/** A container's environment, by Singularity's conventions. */

export interface EnvironmentRequest {
  host: NodeJS.ProcessEnv
  /** `--cleanenv`. */
  clean: boolean
  /** The image's own: `NAME=VALUE`. */
  image: readonly string[]
  /** `--env-file` and `--env`: the last one counts. */
  variables: readonly (readonly [string, string])[]
  home: string
  /** The image, as it was given and by its last name. */
  container: string
  name: string
}

const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** Paths and programs of the host's, which lead nowhere in a container. */
const ofHost = new Set([
  'LD_LIBRARY_PATH',
  'LD_PRELOAD',
  'LD_AUDIT',
  'PATH',
  'PS1',
  'PROMPT_COMMAND',
  'BASH_ENV',
  'ENV',
])
const keptWhenClean = /^(TERM|LANG|TZ|(https?|ftp|all|no)_proxy|(HTTPS?|FTP|ALL|NO)_PROXY)$/
const forContainer = /^(?:SINGULARITYENV|APPTAINERENV|LAMINAENV)_([A-Za-z_][A-Za-z0-9_]*)$/

/** In a prompt, by a shell. */
const actedUpon = /[$`\\!\p{Cc}]/gu

const isExported = (name: string): boolean => /^[A-Za-z_][A-Za-z0-9_]*$/.test(name)

const inherited = ({ host, clean }: EnvironmentRequest): [string, string][] =>
  Object.entries(host).flatMap(([name, value = '']): [string, string][] => {
    if (ofHost.has(name) || forContainer.test(name) || !isExported(name)) return []
    return !clean || keptWhenClean.test(name) ? [[name, value]] : []
  })

const meantForIt = (host: NodeJS.ProcessEnv): [string, string][] =>
  Object.entries(host).flatMap(([name, value = '']): [string, string][] => {
    const inside = forContainer.exec(name)?.[1]
    return inside === undefined ? [] : [[inside, value]]
  })

const ofImage = (lines: readonly string[]): [string, string][] =>
  lines.flatMap((line): [string, string][] => {
    const equals = line.indexOf('=')
    return equals > 0 ? [[line.slice(0, equals), line.slice(equals + 1)]] : []
  })

/** The host's own, then the image's, then what is asked for. */
export const environmentOf = (request: EnvironmentRequest): Record<string, string> => {
  const { host, image, variables, home, container, name } = request
  const told = { CONTAINER: container, NAME: name }
  return Object.fromEntries([
    ...inherited(request),
    ['PATH', defaultPath],
    ['HOME', home],
    ...ofImage(image),
    ...['LAMINA', 'SINGULARITY', 'APPTAINER'].flatMap((prefix) =>
      Object.entries(told).map(([key, value]) => [`${prefix}_${key}`, value]),
    ),
    ['PS1', `Lamina ${name.replace(actedUpon, '?')}:\\w> `],
    ...meantForIt(host),
    ...variables,
  ])
}
