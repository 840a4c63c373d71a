import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import type { Duplex } from 'node:stream'

/** A proxy by CONNECT, for which every name leads to that port of this machine. */
export const connectProxy = async (port: number) => {
  const asked: string[] = []
  const sockets: Duplex[] = []
  const server = createServer()
    .on('connect', ({ url = '' }, client) => {
      asked.push(url)
      const there = connect(port, '127.0.0.1', () => client.write('HTTP/1.1 200 OK\r\n\r\n'))
      sockets.push(client, there)
      there.pipe(client).pipe(there)
      for (const [one, other] of [
        [client, there],
        [there, client],
      ] as const)
        one.on('error', () => other.destroy())
    })
    .listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  return {
    url: `http://127.0.0.1:${address instanceof Object ? address.port : 0}`,
    /** Host and port, a connection each. */
    asked,
    close: async (): Promise<void> => {
      for (const socket of sockets) socket.destroy()
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
