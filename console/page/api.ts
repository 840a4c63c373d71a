import * as z from 'zod'
import { apiErrorOfBody } from '../../kube/api-error.ts'
import {
  instancePath,
  listPath,
  namespacesPath,
  type Plural,
  tokenProtocol,
  watchPath,
  watchProtocol,
  whoAmIPath,
} from '../paths.ts'

/** The API server, by way of the console's server, as the user who has signed in. */
export interface Api {
  /** The user's name as the API server has it. */
  whoAmI(): Promise<string>
  /** Names, or none where the user may not list them. */
  namespaces(): Promise<string[]>
  list(namespace: string, plural: Plural): Promise<{ items: unknown[]; resourceVersion: string }>
  /**
   * Resolves when the watch has ended, for whatever reason: then it is time for another list.
   *
   * @param heard is given each event as JSON; what it throws ends the watch
   */
  watch(
    at: { namespace: string; plural: Plural; resourceVersion: string },
    heard: (event: unknown) => void,
    signal: AbortSignal,
  ): Promise<void>
  patchInstance(namespace: string, name: string, patch: object): Promise<void>
  /** Opens a WebSocket that speaks `protocol`. */
  open(path: string, protocol: string): WebSocket
  /** What the API server says to an ordinary request of the path. @throws ApiError */
  ask(path: string): Promise<unknown>
}

const listSchema = z.object({
  metadata: z.object({ resourceVersion: z.string(), continue: z.string().optional() }),
  items: z.array(z.unknown()),
})
const whoSchema = z.object({ status: z.object({ userInfo: z.object({ username: z.string() }) }) })
const namedSchema = z.object({ metadata: z.object({ name: z.string() }) })

/** A token is ASCII. */
const base64url = (token: string): string => btoa(token).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')

/** Where the network is gone, a close is agreed upon by nobody: that is not waited for. */
const listen = (socket: WebSocket, heard: (event: unknown) => void, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const end = (): void => {
      signal.removeEventListener('abort', end)
      socket.onmessage = null
      socket.close()
      resolve()
    }
    signal.addEventListener('abort', end)
    socket.onmessage = ({ data }) => {
      try {
        heard(JSON.parse(String(data)))
      } catch {
        end()
      }
    }
    socket.onclose = end
  })

/** The console's server gives up after 65 s, where it can be reached. */
const timeoutMs = 70_000

/** @param token of the user; undefined where a proxy in front signs in */
export const createApi = (token: string | undefined): Api => {
  /** @throws ApiError for answers other than 2xx */
  const send = async (method: string, path: string, json?: object): Promise<unknown> => {
    const answer = await fetch(path, {
      method,
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
      redirect: 'error',
      signal: AbortSignal.timeout(timeoutMs),
      ...(json === undefined ? {} : { body: JSON.stringify(json) }),
    })
    const body = await answer.text()
    if (!answer.ok) throw apiErrorOfBody(method, answer.status, body)
    return JSON.parse(body)
  }
  const list: Api['list'] = async (namespace, plural) => {
    const items: unknown[] = []
    for (let at: string | undefined; ; ) {
      const { metadata, items: some } = listSchema.parse(await send('GET', listPath(namespace, plural, at)))
      items.push(...some)
      if (!metadata.continue) return { items, resourceVersion: metadata.resourceVersion }
      at = metadata.continue
    }
  }
  const open: Api['open'] = (path, protocol) =>
    new WebSocket(path, token === undefined ? [protocol] : [protocol, tokenProtocol + base64url(token)])
  return {
    list,
    open,
    ask: (path) => send('GET', path),
    whoAmI: async () => whoSchema.parse(await send('POST', whoAmIPath)).status.userInfo.username,
    namespaces: async () => {
      try {
        return listSchema
          .parse(await send('GET', namespacesPath))
          .items.map((item) => namedSchema.parse(item).metadata.name)
      } catch {
        return []
      }
    },
    watch: ({ namespace, plural, resourceVersion }, heard, signal) =>
      listen(open(watchPath(namespace, plural, resourceVersion), watchProtocol), heard, signal),
    patchInstance: async (namespace, name, patch) => {
      await send('PATCH', instancePath(namespace, name), patch)
    },
  }
}
