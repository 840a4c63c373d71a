import { createHash, randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import { basename, join } from 'node:path'
import type { Cluster } from '../../cluster/cluster.ts'
import { clusterFiles } from '../../cluster/layout.ts'

/** Files written by the real Apptainer (test/fixtures/README.md). */
const fixtures = join(import.meta.dirname, '../../fixtures')
export const apptainerFile = (name: string): string => join(fixtures, name)

/** A copy with other bytes at its end, which no part of the image is in: no node has seen it. */
export const freshCopy = async (name: string, path: string): Promise<void> =>
  writeFile(path, Buffer.concat([await readFile(apptainerFile(name)), randomBytes(4096)]))

export const sha256Of = async (path: string): Promise<string> =>
  createHash('sha256')
    .update(await readFile(path))
    .digest('hex')

/** A web server with a certificate of the cluster's authority, which the operator is told to trust. */
export interface FileServer {
  url(path: string): string
  /** Paths that were asked for, with their method. */
  requests: string[]
  close(): Promise<void>
}

/** @param files by the name that the server gives them, with or without a path */
export const serveFiles = async (cluster: Cluster, files: Readonly<Record<string, string>>): Promise<FileServer> => {
  const { pki } = clusterFiles(cluster.layout)
  const requests: string[] = []
  const server = createServer(
    { cert: await readFile(join(pki, 'apiserver.crt')), key: await readFile(join(pki, 'apiserver.key')) },
    async (request, response) => {
      requests.push(`${request.method} ${request.url}`)
      const url = decodeURIComponent(request.url ?? '')
      const path = files[url.slice(1)] ?? files[basename(url)]
      if (path === undefined) {
        response.writeHead(404).end('no such file')
        return
      }
      response.writeHead(200, { 'content-length': (await stat(path)).size })
      if (request.method === 'HEAD') response.end()
      else createReadStream(path).pipe(response)
    },
  )
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = address !== null && typeof address === 'object' ? address.port : 0
  return {
    url: (path) => `https://127.0.0.1:${port}/${path}`,
    requests,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  }
}

const sifLayer = 'application/vnd.sylabs.sif.layer.v1.sif'

/** Pushes a file to the cluster's registry as `oras push` does, by the registry's own protocol (OCI distribution-spec). */
export const pushArtifact = async ({ registry }: Cluster, file: string, repository: string): Promise<void> => {
  const [name = '', tag = ''] = repository.split(':')
  const base = `http://${registry.host}/v2/${name}`
  const authorization = `Basic ${Buffer.from(`${registry.user}:${registry.password}`).toString('base64')}`
  const send = async (method: string, url: string, body: Buffer | undefined, type = 'application/octet-stream') => {
    const response = await fetch(url, {
      method,
      headers: { authorization, 'content-type': type },
      ...(body === undefined ? {} : { body: new Uint8Array(body) }),
    })
    if (!response.ok) throw new Error(`${method} ${url}: ${response.status} ${await response.text()}`)
    return response
  }
  const pushBlob = async (content: Buffer, mediaType: string) => {
    const digest = `sha256:${createHash('sha256').update(content).digest('hex')}`
    const upload = new URL(
      (await send('POST', `${base}/blobs/uploads/`, undefined)).headers.get('location') ?? '',
      base,
    )
    upload.searchParams.set('digest', digest)
    await send('PUT', upload.href, content)
    return { mediaType, digest, size: content.length }
  }
  const config = await pushBlob(Buffer.from('{}'), 'application/vnd.sylabs.sif.config.v1+json')
  const layer = {
    ...(await pushBlob(await readFile(file), sifLayer)),
    annotations: { 'org.opencontainers.image.title': basename(file) },
  }
  const manifestType = 'application/vnd.oci.image.manifest.v1+json'
  const manifest = { schemaVersion: 2, mediaType: manifestType, config, layers: [layer] }
  await send('PUT', `${base}/manifests/${tag}`, Buffer.from(JSON.stringify(manifest)), manifestType)
}
