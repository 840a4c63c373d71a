import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type RequestListener } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import type { Duplex } from 'node:stream'
import type { Certificate } from '../../../runtime-shim/image/testing/web-server.ts'

interface Answer {
  status: number
  body: object
}

/** Path without its query, or method (of watches: WATCH) and path → what is answered; of several one after the other, and the last for ever. */
export type Answers = Record<string, Answer | readonly Answer[]>

const notFound: Answer = { status: 404, body: {} }

/**
 * An API server that knows so much, and 404 of all else; and a kubeconfig for it.
 *
 * @param options `exec`: what becomes of a connection on which a command is asked for; `certificate`: HTTPS with it
 */
export const apiServer = async (
  answers: Answers,
  {
    exec = (_request: IncomingMessage, socket: Duplex): void => void socket.destroy(),
    certificate,
  }: { exec?: (request: IncomingMessage, socket: Duplex) => void; certificate?: Certificate } = {},
) => {
  const credentials: string[] = []
  const asked: string[] = []
  const execs: Duplex[] = []
  const answer: RequestListener = ({ method = '', url = '', headers }, response) => {
    const path = url.split('?', 1)[0] ?? ''
    const what = `${url.includes('watch=true') ? 'WATCH' : method} ${path}`
    credentials.push(headers.authorization ?? '')
    const all = [answers[what] ?? answers[path] ?? notFound].flat()
    const { status, body } = all[Math.min(asked.filter((each) => each === what).length, all.length - 1)] ?? notFound
    asked.push(what)
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(Array.isArray(body) ? body.map((line) => `${JSON.stringify(line)}\n`).join('') : JSON.stringify(body))
  }
  const server = (certificate ? createHttpsServer(certificate, answer) : createServer(answer))
    .on('upgrade', (request: IncomingMessage, socket) => {
      asked.push('exec')
      socket.on('error', () => socket.destroy())
      execs.push(socket)
      exec(request, socket)
    })
    .listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = address instanceof Object ? address.port : 0
  const scheme = certificate ? 'https' : 'http'
  return {
    url: `${scheme}://127.0.0.1:${port}`,
    port,
    /** What came as `Authorization`, a request each. */
    credentials,
    /** Method and path, a request each; `exec` for a command. */
    asked,
    writeKubeconfig: (path: string): Promise<void> => writeFile(path, kubeconfigFor(`${scheme}://127.0.0.1:${port}`)),
    close: async (): Promise<void> => {
      server.closeAllConnections()
      for (const socket of execs) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

/** What a watch tells before it ends. */
export const eventsOf = (...events: { type: string; object: object }[]) => ({ status: 200, body: events })

/** One context, `test`, with the namespace `team`. */
export const kubeconfigFor = (server: string): string =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'test', cluster: { server, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'me', user: { token: 'secret' } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'me', namespace: 'team' } }],
    'current-context': 'test',
  })

export const failure = (status: number, reason: string, message: string, name?: string) => ({
  status,
  body: {
    kind: 'Status',
    apiVersion: 'v1',
    status: 'Failure',
    code: status,
    reason,
    message,
    ...(name ? { details: { name } } : {}),
  },
})

export const object = (body: object) => ({ status: 200, body })

export const absent = (name: string) => failure(404, 'NotFound', `"${name}" not found`, name)

export const listOf = (...items: object[]) => ({ status: 200, body: { metadata: { resourceVersion: '1' }, items } })
