import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'

/** Path without its query → status and body. */
export type Answers = Record<string, { status: number; body: object }>

/** An API server that knows so much, and 404 of all else; and a kubeconfig for it. */
export const apiServer = async (answers: Answers) => {
  const credentials: string[] = []
  const server = createServer(({ url = '', headers }, response) => {
    credentials.push(headers.authorization ?? '')
    const { status, body } = answers[url.split('?', 1)[0] ?? ''] ?? { status: 404, body: {} }
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = address instanceof Object ? address.port : 0
  return {
    url: `http://127.0.0.1:${port}`,
    /** What came as `Authorization`, a request each. */
    credentials,
    writeKubeconfig: (path: string): Promise<void> => writeFile(path, kubeconfigFor(`http://127.0.0.1:${port}`)),
    close: async (): Promise<void> => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

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

export const listOf = (...items: object[]) => ({ status: 200, body: { metadata: { resourceVersion: '1' }, items } })
