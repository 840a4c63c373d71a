import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { isAddressInfo } from '../../../kube/server.ts'

/** A way to the API server that a test can cut: what is sent then arrives nowhere, and nobody is told. */
export interface Wire {
  port: number
  cut(): void
  mend(): void
  close(): void
}

/** @param to port of 127.0.0.1 */
export const createWire = async (to: number): Promise<Wire> => {
  const sockets = new Set<Socket>()
  let isCut = false
  const carry = (from: Socket, into: Socket): void => {
    sockets.add(from)
    from.on('data', (chunk) => into.write(chunk))
    from.once('close', () => {
      sockets.delete(from)
      into.destroy()
    })
    from.on('error', () => from.destroy())
    if (isCut) from.pause()
  }
  const server = createServer((incoming) => {
    const outgoing = connect(to, '127.0.0.1')
    carry(incoming, outgoing)
    carry(outgoing, incoming)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  return {
    port: isAddressInfo(address) ? address.port : 0,
    cut: () => {
      isCut = true
      for (const socket of sockets) socket.pause()
    },
    mend: () => {
      isCut = false
      for (const socket of sockets) socket.resume()
    },
    close: () => {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}
