import type { Terminal } from '@xterm/xterm'
import { ApiError } from '../../kube/api-error.ts'
import { execPath, execProtocol } from '../paths.ts'
import type { Api } from './api.ts'
import { type Ending, readFrame, resizeFrame, typedFrame } from './channels.ts'

/** What the API server says to the same request without a WebSocket, when nothing else is wrong. */
const needsWebSocket = 400

/** A page cannot read why its handshake was refused; an ordinary request of the same is refused in words. */
const whyRefused = async (api: Pick<Api, 'ask'>, path: string): Promise<string> => {
  try {
    await api.ask(path)
  } catch (error) {
    if (!(error instanceof ApiError)) return `The console does not answer (${String(error)}).`
    if (error.status !== needsWebSocket) return `The API server opened no terminal: ${error.words}`
  }
  return 'No terminal was opened. Has the image a shell (sh), and does its container run? Does a proxy on the way let WebSockets through?'
}

const cut: Ending = { words: 'The connection was cut.', isTrouble: true }

/**
 * Joins a terminal to a shell in the instance, until either ends. Returns what ends it.
 *
 * @param tell is told why the shell is gone
 */
export const joinShell = (
  api: Pick<Api, 'open' | 'ask'>,
  { namespace, instance }: { namespace: string; instance: string },
  terminal: Pick<Terminal, 'onData' | 'onResize' | 'write' | 'cols' | 'rows'>,
  tell: (ending: Ending) => void,
): (() => void) => {
  const path = execPath(namespace, instance)
  const socket = api.open(path, execProtocol)
  socket.binaryType = 'arraybuffer'
  let isOpen = false
  let ending: Ending | undefined
  let isClosed = false
  const send = (frame: Uint8Array<ArrayBuffer>): void => {
    if (socket.readyState === WebSocket.OPEN) socket.send(frame)
  }
  const listeners = [
    terminal.onData((text) => send(typedFrame(text))),
    terminal.onResize((size) => send(resizeFrame(size))),
  ]
  socket.onopen = () => {
    isOpen = true
    send(resizeFrame(terminal))
  }
  socket.onmessage = ({ data }) => {
    if (!(data instanceof ArrayBuffer)) return
    const message = readFrame(data)
    if (message.kind === 'output') terminal.write(message.bytes)
    if (message.kind === 'ended') ending = message.ending
  }
  socket.onclose = async () => {
    for (const listener of listeners) listener.dispose()
    if (isClosed) return
    tell(isOpen ? (ending ?? cut) : { words: await whyRefused(api, path), isTrouble: true })
  }
  return () => {
    isClosed = true
    socket.close()
  }
}
