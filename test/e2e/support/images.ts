import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { execa } from 'execa'
import type { KeyRing } from '../../../runtime-shim/image/testing/gpg.ts'
import type { Cluster } from '../../cluster/cluster.ts'
import { debianImage, pushImage } from '../../cluster/images.ts'

/**
 * Debian once more, with other configurations, in the cluster's registry:
 * `test/configured:1` (entrypoint, command, environment, working directory, stop
 * signal) and `test/named-user:1` (user `worker`, who is in the group `crew`).
 */
export const variantImages = async (cluster: Cluster): Promise<void> => {
  const debian = await debianImage(() => {})
  const dir = await mkdtemp(join(tmpdir(), 'lamina-variants-'))
  try {
    const layout = join(dir, 'oci')
    await execa('cp', ['-r', debian, layout])
    const image = (tag: string) => `${layout}:${tag}`
    const configure = (tag: string, ...flags: string[]) =>
      execa('umoci', ['config', '--image', image('it'), '--tag', tag, ...flags])

    await configure(
      'configured',
      ...['--config.entrypoint', '/bin/sh', '--config.entrypoint', '-c'],
      ...['--config.entrypoint', 'echo entry "$0" "$FROM" "$LITERAL" "$PWD"', '--config.cmd', 'cmd'],
      ...['--config.env', 'FROM=from-image', '--config.env', 'LITERAL=$(literal)', '--config.workingdir', '/opt/place'],
      ...['--config.stopsignal', 'SIGINT'],
    )
    await pushImage(cluster, image('configured'), 'test/configured:1')

    await configure('named', '--config.user', 'worker')
    await addFiles(dir, image('named'), {
      'etc/passwd': 'root:x:0:0:root:/root:/bin/bash\nworker:x:4711:4711::/home:/bin/sh\n',
      'etc/group': 'root:x:0:\nworker:x:4711:\ncrew:x:4800:worker\n',
    })
    await pushImage(cluster, image('named'), 'test/named-user:1')
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

const isProgram = (text: string): boolean => text.startsWith('#!')

const addFiles = async (dir: string, image: string, files: Record<string, string>): Promise<void> => {
  const root = join(dir, 'layer')
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true })
    await writeFile(join(root, path), text, { mode: isProgram(text) ? 0o755 : 0o644 })
  }
  const layer = join(dir, 'layer.tar')
  await execa('tar', ['-C', root, '--owner=0', '--group=0', '-cf', layer, '.'])
  await execa('umoci', ['raw', 'add-layer', '--image', image, layer])
}

export interface StandIn {
  user?: string
  entrypoint?: readonly string[]
  /** By path; what begins with `#!` can be executed. */
  files: Record<string, string>
}

/** Debian in the place of an image from elsewhere: what the tests call of it are small scripts. */
export const pushStandIn = async (
  cluster: Cluster,
  reference: string,
  { user = 'root', entrypoint = [], files }: StandIn,
): Promise<void> => {
  const debian = await debianImage(() => {})
  const dir = await mkdtemp(join(tmpdir(), 'lamina-stand-in-'))
  try {
    const image = `${join(dir, 'oci')}:it`
    await execa('cp', ['-r', debian, join(dir, 'oci')])
    const path = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
    const flags = ['--config.user', user, '--config.env', path]
    const words = entrypoint.flatMap((word) => ['--config.entrypoint', word])
    await execa('umoci', ['config', '--image', image, ...flags, ...words])
    await addFiles(dir, image, files)
    await pushImage(cluster, image, reference)
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

export interface Signing {
  keyRing: KeyRing
  /** For skopeo's `--registries.d`: where the signature is to lie. */
  registriesD: string
}

/** Debian with one variable in its environment, under a reference of the cluster's registry, signed if asked for. */
export const pushVariant = async (
  cluster: Cluster,
  reference: string,
  variable: string,
  signing?: Signing,
): Promise<void> => {
  const debian = await debianImage(() => {})
  const dir = await mkdtemp(join(tmpdir(), 'lamina-variant-'))
  try {
    const image = `${join(dir, 'oci')}:it`
    await execa('cp', ['-r', debian, join(dir, 'oci')])
    await execa('umoci', ['config', '--image', image, '--config.env', variable])
    const { host, user, password } = cluster.registry
    const [general, specific] = signing
      ? [
          ['--registries.d', signing.registriesD],
          ['--sign-by', signing.keyRing.signer],
        ]
      : [[], []]
    const to = ['--quiet', '--dest-tls-verify=false', '--dest-creds', `${user}:${password}`, ...specific]
    const env = signing?.keyRing.environment ?? {}
    await execa('skopeo', [...general, 'copy', ...to, `oci:${image}`, `docker://${host}/${reference}`], { env })
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

/** Debian under a configuration, and so a digest, that no node has seen. */
export const freshImage = async (cluster: Cluster, repository: string): Promise<{ layerDigest: string }> => {
  const debian = await debianImage(() => {})
  const dir = await mkdtemp(join(tmpdir(), 'lamina-fresh-'))
  try {
    const layout = join(dir, 'oci')
    await execa('cp', ['-r', debian, layout])
    await execa('umoci', ['config', '--image', `${layout}:it`, '--config.label', `fresh=${repository}`])
    await pushImage(cluster, `${layout}:it`, `${repository}:1`)
    const { stdout } = await execa('skopeo', ['inspect', '--format', '{{index .Layers 0}}', `oci:${layout}:it`])
    return { layerDigest: stdout }
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}
