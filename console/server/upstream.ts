import { Agent, type RequestOptions } from 'node:https'

/** The API server, as the console reaches it. */
export interface Upstream {
  /** Host and port, and what its certificate is checked by. */
  server: Pick<RequestOptions, 'host' | 'port' | 'ca'>
  /** Connections that are used again, by ordinary requests. */
  agent: Agent
}

export const createUpstream = ({ host, port, ca }: { host: string; port: number; ca: string }): Upstream => {
  const server = { host, port, ca }
  return { server, agent: new Agent({ ...server, keepAlive: true, maxSockets: 100 }) }
}

/** All that the API server is told about who asks, and by which way. */
export const headersFor = (token: string, client: string | undefined): Record<string, string> => ({
  authorization: `Bearer ${token}`,
  // Exec has nothing in JSON to give, and would refuse.
  accept: 'application/json, */*',
  'user-agent': 'lamina-console',
  // For its audit log.
  ...(client === undefined ? {} : { 'x-forwarded-for': client }),
})
