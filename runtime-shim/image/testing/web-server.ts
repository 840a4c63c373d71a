import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import type { IncomingHttpHeaders, RequestListener } from 'node:http'
import { createServer } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A web server on loopback with a certificate of its own. */
export interface TestWebServer {
  /** `https://127.0.0.1:<port>` */
  url: string
  /** What it was asked. */
  requests: { line: string; headers: IncomingHttpHeaders }[]
  /** Ends those that there are now. */
  closeConnections(): void
  stop(): Promise<void>
}

export interface Certificate {
  key: Buffer
  cert: Buffer
}

export const makeCertificate = (): Certificate => {
  const dir = mkdtempSync(join(tmpdir(), 'lamina-certificate-'))
  const [key, cert] = [join(dir, 'key.pem'), join(dir, 'cert.pem')]
  const flags = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1', '-subj', '/CN=here']
  const names = ['-addext', 'subjectAltName=IP:127.0.0.1']
  execFileSync('openssl', ['req', '-x509', ...flags, ...names, '-keyout', key, '-out', cert], { stdio: 'ignore' })
  const made = { key: readFileSync(key), cert: readFileSync(cert) }
  rmSync(dir, { recursive: true })
  return made
}

export const startWebServer = async (certificate: Certificate, listener: RequestListener): Promise<TestWebServer> => {
  const requests: TestWebServer['requests'] = []
  const server = createServer(certificate, (request, response) => {
    requests.push({ line: `${request.method} ${request.url}`, headers: request.headers })
    listener(request, response)
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const address = server.address()
  return {
    url: `https://127.0.0.1:${typeof address === 'object' ? address?.port : address}`,
    requests,
    closeConnections: () => server.closeAllConnections(),
    stop: () => {
      server.closeAllConnections()
      return new Promise((done) => server.close(() => done()))
    },
  }
}
