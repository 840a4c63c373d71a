import { access, mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import type { Cluster, Report } from './cluster.ts'
import { sandboxImage } from './components.ts'
import { cacheDir, clusterFiles } from './layout.ts'

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )

/** Makes `path` once: `make` writes a file or folder `it` into a folder that is its own for the while. */
const once = async (path: string, make: (dir: string) => Promise<void>): Promise<string> => {
  if (await exists(path)) return path
  await mkdir(cacheDir, { recursive: true })
  const dir = await mkdtemp(join(cacheDir, 'making-'))
  try {
    await make(dir)
    await rename(join(dir, 'it'), path)
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
  return path
}

interface ImageSettings {
  entrypoint?: string[]
  cmd?: string[]
  env?: string[]
  user?: string
  workingDir?: string
}

const configFlags = ({ entrypoint = [], cmd = [], env = [], user, workingDir }: ImageSettings): string[] => [
  ...entrypoint.flatMap((word) => ['--config.entrypoint', word]),
  ...cmd.flatMap((word) => ['--config.cmd', word]),
  ...env.flatMap((pair) => ['--config.env', pair]),
  ...(user === undefined ? [] : ['--config.user', user]),
  ...(workingDir === undefined ? [] : ['--config.workingdir', workingDir]),
]

/** An OCI layout at `path`, tag `it`, of the layer tars in order. */
const makeImage = async (path: string, layers: string[], settings: ImageSettings): Promise<void> => {
  const image = `${path}:it`
  await execa('umoci', ['init', '--layout', path])
  await execa('umoci', ['new', '--image', image])
  for (const layer of layers) await execa('umoci', ['raw', 'add-layer', '--image', image, layer])
  await execa('umoci', ['config', '--image', image, ...configFlags(settings)])
}

/** Loads an image archive (docker-archive or OCI, as a file) into the cluster's containerd. */
const importArchive = async (cluster: Cluster, archive: string): Promise<void> => {
  const ctr = [join(cluster.bin, 'ctr'), '--address', '/run/containerd/containerd.sock', '--namespace', 'k8s.io']
  const [program, ...args] = cluster.inside(...ctr, 'images', 'import', '--local', archive)
  await execa(program, args)
}

/** The sandbox image holds one static program that waits, `catatonit -P`. */
export const importSandboxImage = async (cluster: Cluster): Promise<void> => {
  const archive = await once(join(cacheDir, 'sandbox-1.tar'), async (dir) => {
    const layer = join(dir, 'layer.tar')
    await execa('tar', ['-C', '/usr/bin', '-cf', layer, 'catatonit'])
    await makeImage(join(dir, 'oci'), [layer], { entrypoint: ['/catatonit', '-P'] })
    await execa('skopeo', ['copy', '--quiet', `oci:${dir}/oci:it`, `docker-archive:${dir}/it:${sandboxImage}`])
  })
  await importArchive(cluster, archive)
}

/** OCI layout (tag `it`) of a small Debian with apt, made by mmdebstrap and kept in the cache. */
export const debianImage = (report: Report): Promise<string> =>
  once(join(cacheDir, 'debian-12.oci'), async (dir) => {
    report('making the Debian image (once; about half a minute)')
    const layer = join(dir, 'layer.tar')
    await execa('mmdebstrap', ['--variant=apt', '--quiet', 'bookworm', layer])
    await makeImage(join(dir, 'it'), [layer], {
      cmd: ['bash'],
      env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
    })
  })

/** Pushes an OCI layout (`PATH:TAG`) to the cluster's registry as `repository` (`library/debian:12`). */
export const pushImage = async (cluster: Cluster, layout: string, repository: string): Promise<void> => {
  const { host, user, password } = cluster.registry
  await execa('skopeo', [
    ...['copy', '--quiet', '--dest-tls-verify=false', '--dest-creds', `${user}:${password}`],
    ...[`oci:${layout}`, `docker://${host}/${repository}`],
  ])
}

export const registriesConfOf = (cluster: Cluster): string => clusterFiles(cluster.layout).registriesConf
