import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { sha256 } from './image.ts'

const run = promisify(execFile)

/** A real registry with a password, on loopback. */
export interface TestRegistry {
  host: string
  /** Contents of a pull secret for it. */
  dockerConfig: string
  /** To be HOME for skopeo: there the registry is one without TLS. */
  home: string
  /** Pushes an image directory as it is, or in Docker's format. */
  push(dir: string, name: string, format?: 'v2s2'): Promise<void>
  /** Changes a byte of a blob. */
  corrupt(digest: string): Promise<void>
  /** Puts a blob into a repository; gives back its digest. */
  putBlob(repository: string, content: Buffer): Promise<string>
  /** Puts a manifest under a tag. */
  putManifest(repository: string, tag: string, mediaType: string, manifest: object): Promise<void>
  stop(): Promise<void>
}

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  return typeof address === 'object' && address !== null ? address.port : 0
}

const answers = async (url: string): Promise<boolean> =>
  fetch(url).then(
    () => true,
    () => false,
  )

const untilItAnswers = async (url: string, registry: ChildProcess): Promise<void> => {
  while (!(await answers(url))) {
    if (registry.exitCode !== null) throw new Error('the registry ended at once')
    await sleep(20)
  }
}

export const startRegistry = async (): Promise<TestRegistry> => {
  const dir = await mkdtemp(join(tmpdir(), 'lamina-registry-'))
  const host = `127.0.0.1:${await freePort()}`
  const [user, password] = ['reader', 'secret']
  const { stdout: htpasswd } = await run('htpasswd', ['-nbB', user, password])
  const configuration = {
    version: '0.1',
    log: { level: 'error' },
    storage: { filesystem: { rootdirectory: join(dir, 'data') } },
    http: { addr: host },
    auth: { htpasswd: { realm: 'test', path: join(dir, 'htpasswd') } },
  }
  await writeFile(join(dir, 'htpasswd'), htpasswd)
  await writeFile(join(dir, 'registry.yml'), JSON.stringify(configuration))
  await mkdir(join(dir, '.config/containers'), { recursive: true })
  await writeFile(
    join(dir, '.config/containers/registries.conf'),
    `[[registry]]\nlocation = "${host}"\ninsecure = true\n`,
  )
  const registry = spawn('docker-registry', ['serve', join(dir, 'registry.yml')], { stdio: 'ignore' })
  await untilItAnswers(`http://${host}/v2/`, registry)
  const auth = Buffer.from(`${user}:${password}`).toString('base64')
  return {
    host,
    dockerConfig: JSON.stringify({ auths: { [host]: { auth } } }),
    home: dir,
    push: async (image, name, format) => {
      const as = format ? ['--format', format] : ['--preserve-digests']
      const options = ['--quiet', ...as, '--dest-tls-verify=false', `--dest-creds=${user}:${password}`]
      await run('skopeo', ['copy', ...options, `dir:${image}`, `docker://${host}/${name}`])
    },
    putBlob: async (repository, content) => {
      const digest = `sha256:${sha256(content)}`
      const headers = { authorization: `Basic ${auth}`, 'content-type': 'application/octet-stream' }
      const begun = await fetch(`http://${host}/v2/${repository}/blobs/uploads/`, { method: 'POST', headers })
      const upload = new URL(begun.headers.get('location') ?? '')
      upload.searchParams.set('digest', digest)
      const ended = await fetch(upload, { method: 'PUT', headers, body: new Uint8Array(content) })
      if (!ended.ok) throw new Error(`the registry answers ${ended.status}: ${await ended.text()}`)
      return digest
    },
    putManifest: async (repository, tag, mediaType, manifest) => {
      const response = await fetch(`http://${host}/v2/${repository}/manifests/${tag}`, {
        method: 'PUT',
        headers: { authorization: `Basic ${auth}`, 'content-type': mediaType },
        body: JSON.stringify(manifest),
      })
      if (!response.ok) throw new Error(`the registry answers ${response.status}: ${await response.text()}`)
    },
    corrupt: async (digest) => {
      const hex = digest.slice('sha256:'.length)
      const blob = join(dir, 'data/docker/registry/v2/blobs/sha256', hex.slice(0, 2), hex, 'data')
      const bytes = await readFile(blob)
      await writeFile(blob, bytes.fill(0x2a, bytes.length - 1))
    },
    stop: async () => {
      registry.kill('SIGKILL')
      await once(registry, 'exit')
      await rm(dir, { recursive: true })
    },
  }
}
