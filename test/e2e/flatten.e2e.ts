import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import * as z from 'zod'
import { writeImageDirectory } from '../../runtime-shim/image/testing/image.ts'
import { type Listed, listingCommand, parseListing } from '../../runtime-shim/image/testing/mounted.ts'
import { counted, nastyLayers, timeless } from '../../runtime-shim/image/testing/nasty.ts'
import { imageReference, testCluster } from './support/cluster.ts'
import { createFixture, type Fixture } from './support/fixture.ts'
import { onNode } from './support/node.ts'
import { containerImage, instance, promptly } from './support/objects.ts'
import { registrySecret, registrySecretName } from './support/registry.ts'

const { cluster, kubectl } = await testCluster()
const { user, password } = cluster.registry

const ctr = (...args: string[]): Promise<string> =>
  onNode(
    cluster,
    join(cluster.bin, 'ctr'),
    '--address',
    '/run/containerd/containerd.sock',
    '--namespace',
    'flatten',
    ...args,
  )

/** Mounts on the node by a shell command that has the directory as `$1`, and lists what is there. */
const listMounted = async (mount: string): Promise<Record<string, Listed>> => {
  const directory = (await onNode(cluster, 'mktemp', '-d')).trim()
  await onNode(cluster, 'sh', '-ec', mount, 'sh', directory)
  try {
    return parseListing(await onNode(cluster, ...listingCommand(directory)))
  } finally {
    await onNode(cluster, 'umount', directory)
    await onNode(cluster, 'rmdir', directory)
  }
}

const pushNasty = async (): Promise<void> => {
  const dir = await mkdtemp(join(tmpdir(), 'lamina-nasty-image-'))
  await writeImageDirectory(dir, await nastyLayers())
  const options = ['--quiet', '--preserve-digests', '--dest-tls-verify=false', `--dest-creds=${user}:${password}`]
  await execa('skopeo', ['copy', ...options, `dir:${dir}`, `docker://${imageReference(cluster, 'test/nasty:1')}`])
  await rm(dir, { recursive: true })
}

const configSchema = z.object({ rootfs: z.object({ diff_ids: z.array(z.string()) }) })

/** The name that containerd gives to the unpacked stack of all layers (image-spec, "Layer ChainID"). */
const chainID = async (reference: string): Promise<string> => {
  const options = ['--config', '--raw', '--tls-verify=false', `--creds=${user}:${password}`]
  const { stdout } = await execa('skopeo', ['inspect', ...options, `docker://${reference}`])
  return configSchema
    .parse(JSON.parse(stdout))
    .rootfs.diff_ids.reduce(
      (chain, diffID) => `sha256:${createHash('sha256').update(`${chain} ${diffID}`).digest('hex')}`,
    )
}

/** containerd's own work, in a namespace of its own, with overlayfs. */
const unpackedByContainerd = async (reference: string): Promise<Record<string, Listed>> => {
  await ctr('images', 'pull', '--local', '--plain-http', '--user', `${user}:${password}`, reference)
  try {
    // The view itself is collected at once, for nothing refers to it; what it shows stays with the image.
    const mount = await ctr('snapshots', 'view', '--target', '"$1"', 'view', await chainID(reference))
    // ctr prints binds with the type `bind`, which mount(8) does not know.
    return await listMounted(mount.replace('-t bind', ''))
  } finally {
    await ctr('images', 'rm', '--sync', reference)
  }
}

const statusSchema = z.object({ resolved: z.object({ digest: z.string() }) })

describe("an instance's root is what containerd unpacks of its image", () => {
  let fixture: Fixture
  beforeAll(async () => {
    await pushNasty()
    fixture = await createFixture(kubectl, 'flatten')
    await fixture.apply(registrySecret(cluster))
  })
  afterAll(async () => {
    await fixture.destroy()
    await ctr('namespaces', 'rm', 'flatten')
  })

  /** What the node's agent has made of the image. */
  const flattenedByAgent = async (name: string, repository: string): Promise<Record<string, Listed>> => {
    const pullSecrets = [registrySecretName]
    await fixture.apply(
      containerImage(name, imageReference(cluster, repository), { pullSecrets }),
      instance(name, { image: name, podTemplate: promptly }),
    )
    await fixture.ready('instance', name, 120)
    const { resolved } = statusSchema.parse((await fixture.get('containerimage', name)).status)
    const squashfs = `/var/lib/lamina/images/${resolved.digest.replace(':', '-')}/image`
    return listMounted(`mount -t squashfs -o loop,ro ${squashfs} "$1"`)
  }

  test('Debian', async () => {
    const ours = await flattenedByAgent('debian', 'library/debian:12')
    expect(Object.keys(ours).length).toBeGreaterThan(3_000)
    expect(ours).toEqual(await unpackedByContainerd(imageReference(cluster, 'library/debian:12')))
  })

  test('an image of three layers with every oddity', async () => {
    const ours = await flattenedByAgent('nasty', 'test/nasty:1')
    const theirs = await unpackedByContainerd(imageReference(cluster, 'test/nasty:1'))
    for (const listing of [ours, theirs]) {
      for (const path of timeless) expect(listing[path], path).toBeDefined()
      for (const path of timeless) Object.assign(listing[path] ?? {}, { mtime: 0 })
      for (const path of counted) Object.assign(listing[path] ?? {}, { links: 0 })
    }
    expect(ours).toEqual(theirs)
  })
})
