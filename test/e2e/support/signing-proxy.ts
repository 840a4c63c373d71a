import { createServer, request as httpRequest, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { pipeline } from 'node:stream'
import { isAddressInfo } from '../../../kube/server.ts'

export interface SigningProxy {
  /** Host and port. */
  address: string
  /** Whose pages have asked for a WebSocket. */
  origins: (string | undefined)[]
  close(): Promise<void>
}

/**
 * What stands in front of a page where people sign in by a cookie: adds the user's token to whatever comes, whoever's page
 * has sent it.
 */
export const startSigningProxy = async (port: number, token: string): Promise<SigningProxy> => {
  const origins: (string | undefined)[] = []
  const signed = ({ headers }: IncomingMessage) => ({ ...headers, authorization: `Bearer ${token}` })
  const server = createServer((request, response) => {
    const { method, url: path } = request
    const asked = httpRequest({ host: '127.0.0.1', port, method, path, headers: signed(request) }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      pipeline(answer, response, () => {})
    })
    pipeline(request, asked, (error) => error && response.destroy())
  })
  server.on('upgrade', (request, socket) => {
    origins.push(request.headers.origin)
    const joined = connect(port, '127.0.0.1')
    const lines = Object.entries(signed(request)).map(([name, value]) => `${name}: ${value}`)
    joined.write([`GET ${request.url} HTTP/1.1`, ...lines, '', ''].join('\r\n'))
    pipeline(socket, joined, socket, () => {
      socket.destroy()
      joined.destroy()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const bound = server.address()
  if (!isAddressInfo(bound)) throw new Error('the proxy does not listen')
  return {
    address: `127.0.0.1:${bound.port}`,
    origins,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
