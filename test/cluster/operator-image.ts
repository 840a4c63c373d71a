import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { execa } from 'execa'
import type { Cluster, Report } from './cluster.ts'
import { exclusively } from './exclusively.ts'
import { debianImage, pushImage, registriesConfOf } from './images.ts'
import { cacheDir } from './layout.ts'

const root = join(import.meta.dirname, '../..')

const nodePackage = `node-linux-${process.arch}`

/** Path below `dir` and content of every file, in one order. */
const filesBelow = async (dir: string): Promise<[string, Buffer][]> => {
  const entries = await readdir(dir, { withFileTypes: true, recursive: true })
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  const read = async (path: string): Promise<[string, Buffer]> => [relative(dir, path), await readFile(path)]
  return Promise.all(paths.sort().map(read))
}

/** Sixteen hexadecimal digits that stand for the files' names and contents, and for further words. */
export const contentHash = async (dirs: readonly string[], ...words: (string | Buffer)[]): Promise<string> => {
  const hash = createHash('sha256')
  const add = (part: string | Buffer): void => {
    hash.update(`${part.length}:`).update(part)
  }
  for (const dir of dirs) for (const [path, content] of await filesBelow(dir)) [path, content].forEach(add)
  words.forEach(add)
  return hash.digest('hex').slice(0, 16)
}

/** The tag says what is in the image: the same tree makes the same tag, and needs no build. */
const tagOf = async (debian: string): Promise<string> =>
  contentHash(
    [join(root, 'dist')],
    await readFile(join(root, 'Dockerfile')),
    await readFile(join(root, '.dockerignore')),
    await readFile(join(root, 'node_modules', nodePackage, 'package.json')),
    await readFile(join(debian, 'index.json')),
  )

/** Of buildah, for all clusters of this machine. */
const storage = join(cacheDir, 'buildah')

/** It has a storage of its own, which keeps the layers; what it mounts is gone when it ends. */
const buildah = (cluster: Cluster, ...args: string[]) => {
  const options = ['--root', join(storage, 'root'), '--runroot', join(storage, 'run'), '--storage-driver', 'overlay']
  return execa('unshare', ['--mount', 'buildah', ...options, ...args], {
    env: { CONTAINERS_REGISTRIES_CONF: registriesConfOf(cluster) },
  })
}

const builtName = 'lamina.local/operator'
/** Its stage of this name: a name keeps what is no part of the image for the next build. */
const nodeStage = 'node'

/** Runs `act` with a file that lets tools into the cluster's registry. */
const withCredentials = async ({ registry }: Cluster, act: (authFile: string) => Promise<void>): Promise<void> => {
  const dir = await mkdtemp(join(tmpdir(), 'lamina-credentials-'))
  try {
    const auth = Buffer.from(`${registry.user}:${registry.password}`).toString('base64')
    const authFile = join(dir, 'auth.json')
    await writeFile(authFile, JSON.stringify({ auths: { [registry.host]: { auth } } }), { mode: 0o600 })
    await act(authFile)
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

/** Everything but this image, its stages and what they were made from: a layer that has changed leaves the one before. */
const removeOlder = async (cluster: Cluster, tag: string): Promise<void> => {
  const { stdout } = await buildah(cluster, 'images', '--noheading', '--format', '{{.Name}}:{{.Tag}}')
  const older = stdout.split('\n').filter((name) => name.startsWith(`${builtName}:`) && !name.endsWith(`:${tag}`))
  if (older.length > 0) await buildah(cluster, 'rmi', ...older)
  await buildah(cluster, 'rmi', '--prune')
}

const build = async (cluster: Cluster, tag: string, authFile: string, report: Report): Promise<void> => {
  const name = `${builtName}:${tag}`
  const { stdout: known } = await buildah(cluster, 'images', '--quiet', '--filter', `reference=${name}`)
  if (known !== '') return
  report('building the image of the operator (the first time takes a minute)')
  // What builds have left that were killed.
  await buildah(cluster, 'rm', '--all')
  const flags = ['--isolation', 'chroot', '--layers', '--quiet', '--authfile', authFile]
  const bud = ['bud', ...flags, '--build-arg', `NODE_PACKAGE=${nodePackage}`]
  await buildah(cluster, ...bud, '--target', nodeStage, '--tag', `${builtName}-${nodeStage}`, root)
  await buildah(cluster, ...bud, '--tag', name, root)
  await removeOlder(cluster, tag)
}

const containerd = async (cluster: Cluster, ...args: string[]): Promise<string> => {
  const ctr = [join(cluster.bin, 'ctr'), '--address', '/run/containerd/containerd.sock', '--namespace', 'k8s.io']
  const [program, ...rest] = cluster.inside(...ctr, 'images', ...args)
  return (await execa(program, rest)).stdout
}

/** Debian under the name that the Dockerfile and the examples know it by; pushed again only when it was made anew. */
export const ensureDebian = async (cluster: Cluster, report: Report): Promise<string> => {
  const debian = await debianImage(report)
  const repository = 'library/debian:12'
  const { host, user, password } = cluster.registry
  const digest = async (image: string): Promise<string> => {
    const flags = ['--no-tags', '--tls-verify=false', '--creds', `${user}:${password}`, '--format', '{{.Digest}}']
    return (await execa('skopeo', ['inspect', ...flags, image], { reject: false })).stdout
  }
  const [ours, theirs] = await Promise.all([digest(`oci:${debian}:it`), digest(`docker://${host}/${repository}`)])
  if (ours !== theirs) await pushImage(cluster, `${debian}:it`, repository)
  return debian
}

/** Seconds that the build of another cluster may take. */
const longestBuild = 900

export interface ImageName {
  repository: string
  tag: string
}

/**
 * Makes sure that the operator's image is what the tree in `dist/` says and is
 * in the cluster's containerd, where pods of every namespace find it without a
 * pull secret.
 */
export const ensureOperatorImage = async (cluster: Cluster, report: Report): Promise<ImageName> => {
  const { host, user, password } = cluster.registry
  const debian = await ensureDebian(cluster, report)
  const tag = await tagOf(debian)
  const repository = `${host}/lamina/operator`
  const image = `${repository}:${tag}`
  if ((await containerd(cluster, 'ls', '--quiet', `name==${image}`)) !== '') return { repository, tag }

  await mkdir(storage, { recursive: true })
  const alone = <T>(act: () => Promise<T>) => exclusively(join(storage, 'lock'), { waitSeconds: longestBuild }, act)
  await withCredentials(cluster, (authFile) =>
    alone(async () => {
      await build(cluster, tag, authFile, report)
      report('loading the image of the operator')
      const flags = ['--quiet', '--disable-compression', '--authfile', authFile]
      await buildah(cluster, 'push', ...flags, `${builtName}:${tag}`, `docker://${image}`)
    }),
  )
  await containerd(cluster, 'pull', '--local', '--plain-http', '--user', `${user}:${password}`, image)
  return { repository, tag }
}
