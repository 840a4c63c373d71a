import { anyShell } from '../kube/any-shell.ts'
import { apiVersion } from '../kube/names.ts'

/** What the page asks for, and its server lets through. */

/** Of the one exec there is: a shell with a terminal in the instance's container. */
export const execQuery = `${new URLSearchParams([
  ['container', 'main'],
  ['stdin', 'true'],
  ['stdout', 'true'],
  ['tty', 'true'],
  ...anyShell.map((word) => ['command', word]),
])}`

/** How channels are told apart in an exec's WebSocket. */
export const execProtocol = 'v5.channel.k8s.io'

/** The API server's watches take any word, and repeat it. */
export const watchProtocol = 'watch.lamina.dev'

/** Prefix of the subprotocol that carries a bearer token, in base64url; as the API server has it. */
export const tokenProtocol = 'base64url.bearer.authorization.k8s.io.'

/** RFC 6750, section 2.1. */
export const isBearerToken = (text: string): boolean => /^[A-Za-z0-9._~+/-]+=*$/.test(text)

export type Plural = 'containerimages' | 'persistentoverlays' | 'instances'

const pageSize = 500

const listQuery = (continueAt: string | undefined): string =>
  `limit=${pageSize}${continueAt === undefined ? '' : `&continue=${encodeURIComponent(continueAt)}`}`

const kindPath = (namespace: string, plural: Plural): string => `/apis/${apiVersion}/namespaces/${namespace}/${plural}`

export const listPath = (namespace: string, plural: Plural, continueAt?: string): string =>
  `${kindPath(namespace, plural)}?${listQuery(continueAt)}`

/** So long a watch lasts: then it is begun anew. */
export const watchSeconds = 300

/** Of a watch, behind which its version stands. */
export const watchQuery = `watch=true&allowWatchBookmarks=true&timeoutSeconds=${watchSeconds}&resourceVersion=`

export const watchPath = (namespace: string, plural: Plural, resourceVersion: string): string =>
  `${kindPath(namespace, plural)}?${watchQuery}${resourceVersion}`

export const instancePath = (namespace: string, name: string): string => `${kindPath(namespace, 'instances')}/${name}`

export const execPath = (namespace: string, pod: string): string =>
  `/api/v1/namespaces/${namespace}/pods/${pod}/exec?${execQuery}`

export const namespacesPath = `/api/v1/namespaces?${listQuery(undefined)}`

export const whoAmIPath = '/apis/authentication.k8s.io/v1/selfsubjectreviews'
