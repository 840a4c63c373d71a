/**
 * Passes connections on: between a network namespace and the rest of the
 * machine, through a Unix socket that both see.
 *
 * usage: forward.ts FROM TO    each a port of 127.0.0.1, or the path of a Unix socket
 */
import { rmSync } from 'node:fs'
import { connect, createServer, type NetConnectOpts } from 'node:net'
import { pipeline } from 'node:stream'

const placeOf = (text: string): NetConnectOpts & ({ port: number; host: string } | { path: string }) =>
  /^\d+$/.test(text) ? { port: Number(text), host: '127.0.0.1' } : { path: text }

const [from = '', to = ''] = process.argv.slice(2)
const place = placeOf(from)
if ('path' in place) rmSync(place.path, { force: true })

createServer({ allowHalfOpen: true }, (incoming) => {
  const outgoing = connect({ ...placeOf(to), allowHalfOpen: true })
  // An end on one side is the end on the other; what else happens to a connection is for its two ends to notice.
  pipeline(incoming, outgoing, incoming, () => {})
}).listen(place)
