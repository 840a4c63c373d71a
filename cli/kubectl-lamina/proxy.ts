import { BlockList, isIP } from 'node:net'

/**
 * The proxy that kubectl would take: HTTPS_PROXY or HTTP_PROXY, unless NO_PROXY names
 * the server. There are packages for it; they know no networks (`10.0.0.0/8`) and send
 * loopback addresses to the proxy, where Go does not:
 * https://pkg.go.dev/golang.org/x/net/http/httpproxy
 */

type Environment = Readonly<Record<string, string | undefined>>

interface Host {
  name: string
  port: string
}

const setting = (env: Environment, name: string): string => env[name.toLowerCase()] || env[name] || ''

const familyOf = (ip: string): 'ipv4' | 'ipv6' => (isIP(ip) === 6 ? 'ipv6' : 'ipv4')

const isIn = (ip: string, network: string, bits: number): boolean => {
  if (isIP(network) === 0 || bits > (isIP(network) === 6 ? 128 : 32)) return false
  const list = new BlockList()
  list.addSubnet(network, bits, familyOf(network))
  return list.check(ip, familyOf(ip))
}

const isLoopback = ({ name }: Host): boolean =>
  name === 'localhost' || (isIP(name) !== 0 && (isIn(name, '127.0.0.0', 8) || isIn(name, '::1', 128)))

/** @param entry of NO_PROXY: `*`, a network, an address or a domain, each of the last two with a port or without */
const isNamedBy = (entry: string, { name, port }: Host): boolean => {
  if (entry === '*') return true
  const [, network = '', bits = ''] = /^([^/]+)\/(\d+)$/.exec(entry) ?? []
  if (network !== '') return isIP(name) !== 0 && isIn(name, network, Number(bits))
  const [, host = '', itsPort = port] = isIP(entry) ? ['', entry] : (/^\[?(.*?)\]?(?::(\d+))?$/.exec(entry) ?? [])
  if (host === '' || itsPort !== port) return false
  if (isIP(host)) return isIP(name) !== 0 && isIn(name, host, isIP(host) === 6 ? 128 : 32)
  if (isIP(name)) return false
  const domain = host.replace(/^\*(?=\.)/, '')
  return domain.startsWith('.') ? name.endsWith(domain) : name === domain || name.endsWith(`.${domain}`)
}

/** URL of the proxy by which a server is reached; undefined for none. */
export const proxyFor = (server: URL, env: Environment): string | undefined => {
  const isSecure = server.protocol === 'https:'
  const proxy = setting(env, isSecure ? 'HTTPS_PROXY' : 'HTTP_PROXY')
  const host = { name: server.hostname.replace(/^\[|\]$/g, ''), port: server.port || (isSecure ? '443' : '80') }
  const exempt = setting(env, 'NO_PROXY')
    .split(',')
    .map((entry) => entry.trim().toLowerCase())
  if (proxy === '' || isLoopback(host) || exempt.some((entry) => isNamedBy(entry, host))) return undefined
  return /^[a-z0-9]+:\/\//i.test(proxy) ? proxy : `http://${proxy}`
}
