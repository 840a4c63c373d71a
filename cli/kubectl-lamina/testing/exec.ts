import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { type Duplex, Readable } from 'node:stream'

/** Of RFC 6455. */
const handshakeGuid = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
const binaryFrame = 0x82
const standardOutput = 1

/** One frame; its length must fit into seven bits. */
const frame = (text: string): Buffer => {
  const content = Buffer.concat([Buffer.of(standardOutput), Buffer.from(text)])
  return Buffer.concat([Buffer.of(binaryFrame, content.length), content])
}

function* forEver(text: string): Generator<Buffer> {
  for (;;) yield frame(text)
}

/** Agrees to a command, which prints without end. */
export const endlessExec = ({ headers }: IncomingMessage, socket: Duplex): void => {
  const accept = createHash('sha1').update(`${headers['sec-websocket-key']}${handshakeGuid}`).digest('base64')
  const lines = ['upgrade: websocket', 'connection: Upgrade', `sec-websocket-accept: ${accept}`]
  socket.write(
    `${['HTTP/1.1 101 Switching Protocols', ...lines, 'sec-websocket-protocol: v5.channel.k8s.io'].join('\r\n')}\r\n\r\n`,
  )
  Readable.from(forEver('y\n'.repeat(50))).pipe(socket)
}
