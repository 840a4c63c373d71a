import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { apiVersion } from '../../kube/names.ts'
import { testCluster } from './support/cluster.ts'
import { conditionOf } from './support/conditions.ts'
import { apptainerFile, type FileServer, freshCopy, pushArtifact, serveFiles, sha256Of } from './support/files.ts'
import { createFixture, type Fixture } from './support/fixture.ts'
import { loopsOf } from './support/node.ts'
import { instance, persistentOverlay, promptly } from './support/objects.ts'
import { registrySecret, registrySecretName } from './support/registry.ts'
import { until } from './support/until.ts'
import { inVolume, type UserVolume, userVolume } from './support/volumes.ts'

const { cluster, kubectl } = await testCluster()

const image = (name: string, source: object) => ({
  apiVersion,
  kind: 'ContainerImage',
  metadata: { name },
  spec: { source },
})

/** What the fixtures' one program is for: its arguments come back, or a file's bytes. */
const hello = '/bin/hello'

describe('images that are files', () => {
  let fixture: Fixture
  let server: FileServer
  let sum: string
  let dir: string
  beforeAll(async () => {
    fixture = await createFixture(kubectl, 'sources')
    dir = await mkdtemp(join(tmpdir(), 'lamina-sources-'))
    const fresh = join(dir, 'minimal.sif')
    await freshCopy('minimal.sif', fresh)
    server = await serveFiles(cluster, {
      'minimal.sif': fresh,
      'minimal.simg': apptainerFile('minimal.simg'),
      'other.sif': apptainerFile('minimal.sif'),
      'text.sif': apptainerFile('merged.txt'),
    })
    sum = await sha256Of(fresh)
    await fixture.apply(registrySecret(cluster))
  })
  afterAll(async () => {
    await fixture.destroy()
    await server.close()
    await rm(dir, { recursive: true })
  })

  const refusal = (kind: string, name: string, reason: string) =>
    until(`${kind}/${name} says ${reason}`, async () => {
      const ready = conditionOf(await fixture.get(kind, name), 'Ready')
      return ready.reason === reason && ready.message
    })

  test('a SIF over https is mounted as it came, at the offset of its partition, under an overlay that persists', async () => {
    await fixture.apply(
      image('sif', { file: { url: server.url('minimal.sif'), sha256: sum } }),
      persistentOverlay('work'),
      instance('sif', { image: 'sif', overlays: ['work'], podTemplate: promptly }),
    )
    await fixture.ready('instance', 'sif')
    expect(await fixture.exec('sif', hello, '/etc/passwd')).toContain('root')
    const [loop, ...others] = await loopsOf(sum)
    expect(others).toEqual([])
    expect(loop?.file).toMatch(/\/image$/)
    expect(server.requests.filter((request) => request === 'GET /minimal.sif')).toHaveLength(1)
    await fixture.end('sif')
  })

  test('a .simg of Singularity 2 over https runs', async () => {
    const sha256 = await sha256Of(apptainerFile('minimal.simg'))
    await fixture.apply(
      image('simg', { file: { url: server.url('minimal.simg'), sha256 } }),
      instance('simg', { image: 'simg', podTemplate: promptly }),
    )
    await fixture.ready('instance', 'simg')
    expect(await fixture.exec('simg', hello, 'from', 'simg')).toBe('from\nsimg')
    await fixture.end('simg')
  })

  test('a SIF from a registry by oras runs, with the namespace’s own pull secret', async () => {
    await pushArtifact(cluster, join(dir, 'minimal.sif'), 'test/artifact:1')
    const url = `oras://${cluster.registry.host}/test/artifact:1`
    await fixture.apply(
      image('oras', { file: { url, sha256: sum, pullSecrets: [{ name: registrySecretName }] } }),
      image('oras-closed', { file: { url } }),
      instance('oras', { image: 'oras', podTemplate: promptly }),
    )
    await fixture.ready('instance', 'oras')
    expect(await fixture.exec('oras', hello, 'x')).toContain('x')
    expect(await refusal('containerimage', 'oras-closed', 'ImageUnauthorized')).toContain('pullSecrets')
    await fixture.end('oras')
  })

  test('a file with another sum is refused, with both sums', async () => {
    const wrong = '0'.repeat(64)
    const otherSum = await sha256Of(apptainerFile('minimal.sif'))
    await fixture.apply(
      image('wrong', { file: { url: server.url('other.sif'), sha256: wrong } }),
      instance('wrong', { image: 'wrong', podTemplate: promptly }),
    )
    const message = await until('the sums are told', async () => {
      const condition = conditionOf(await fixture.get('instance', 'wrong'), 'ImageReady')
      return condition.message?.includes(otherSum) && condition.message
    })
    expect(message).toContain(wrong)
    await fixture.end('wrong')
  })

  test('a file that is not there is told at the image; one that is no image, at the instance', async () => {
    await fixture.apply(
      image('missing', { file: { url: server.url('missing.sif'), sha256: sum } }),
      image('text', { file: { url: server.url('text.sif'), sha256: await sha256Of(apptainerFile('merged.txt')) } }),
      instance('text', { image: 'text', podTemplate: promptly }),
    )
    expect(await refusal('containerimage', 'missing', 'ImageNotFound')).toContain('missing.sif')
    const message = await until('the file is told to be none', async () => {
      const condition = conditionOf(await fixture.get('instance', 'text'), 'ImageReady')
      return condition.status === 'False' && condition.reason?.startsWith('Image') && condition.message
    })
    expect(message).toMatch(/squashfs/)
    await fixture.end('text')
  })

  describe('on a volume', () => {
    let volume: UserVolume
    beforeAll(async () => {
      volume = await userVolume({ kubectl, fixture }, 'images', { size: '64Mi' })
      await inVolume(
        cluster,
        volume,
        `mkdir -p sifs sandbox
        cp ${apptainerFile('minimal.sif')} sifs/tool.sif
        mkdir -p /tmp/m.$$ && mount -o loop,ro,offset=36864 ${apptainerFile('minimal.sif')} /tmp/m.$$
        cp -a /tmp/m.$$/. sandbox/ && umount /tmp/m.$$ && rmdir /tmp/m.$$
        ln -s /etc sandbox-link`,
      )
    })

    test('a SIF runs from there, read by several at once', async () => {
      await fixture.apply(
        image('on-volume', { volume: { claimName: 'images', path: 'sifs/tool.sif' } }),
        instance('reader-1', { image: 'on-volume', podTemplate: promptly }),
        instance('reader-2', { image: 'on-volume', podTemplate: promptly }),
      )
      for (const name of ['reader-1', 'reader-2']) {
        await fixture.ready('instance', name)
        expect(await fixture.exec(name, hello, name)).toContain(name)
      }
      await fixture.end('reader-1')
      expect(await fixture.exec('reader-2', hello, 'still')).toContain('still')
      await fixture.end('reader-2')
    })

    test('a directory is a sandbox: the base itself, never written', async () => {
      await fixture.apply(
        image('sandbox', { volume: { claimName: 'images', path: 'sandbox' } }),
        instance('sandbox', { image: 'sandbox', podTemplate: promptly }),
      )
      await fixture.ready('instance', 'sandbox')
      expect(await fixture.exec('sandbox', hello, '/etc/passwd')).toContain('root')
      await fixture.end('sandbox')
      expect(await inVolume(cluster, volume, 'find sandbox -newer sifs/tool.sif -type f | wc -l')).toBe('0')
    })

    test('a path through a symbolic link is not followed, and a missing claim is named', async () => {
      await fixture.apply(
        image('linked', { volume: { claimName: 'images', path: 'sandbox-link' } }),
        image('nowhere', { volume: { claimName: 'not-there', path: 'x.sif' } }),
        instance('linked', { image: 'linked', podTemplate: promptly }),
      )
      expect(await refusal('containerimage', 'nowhere', 'ClaimNotFound')).toContain('not-there')
      const message = await until('the link is refused', async () => {
        const condition = conditionOf(await fixture.get('instance', 'linked'), 'Ready')
        return condition.message?.includes('symbolic link') && condition.message
      })
      expect(message).toContain('sandbox-link')
      await fixture.end('linked')
    })
  })
})

describe('prefetch', () => {
  let fixture: Fixture
  beforeAll(async () => {
    fixture = await createFixture(kubectl, 'prefetch')
  })
  afterAll(() => fixture.destroy())

  test('brings the image to the selected nodes before an instance asks, and tells how far it is', async () => {
    // No other test's: the node would have it already.
    const dir = await mkdtemp(join(tmpdir(), 'lamina-early-'))
    const file = join(dir, 'early.simg')
    await freshCopy('minimal.simg', file)
    const server = await serveFiles(cluster, { 'early.simg': file })
    try {
      const sha256 = await sha256Of(file)
      await fixture.apply({
        ...image('early', { file: { url: server.url('early.simg'), sha256 } }),
        spec: {
          source: { file: { url: server.url('early.simg'), sha256 } },
          prefetch: { nodeSelector: { 'kubernetes.io/os': 'linux' } },
        },
      })
      const status = await until(
        'it is on the node',
        async () => {
          const { status = {} } = await fixture.get('containerimage', 'early')
          return JSON.stringify(status).includes('"readyNodes":1') && status
        },
        { seconds: 90 },
      )
      expect(status.prefetch).toEqual({ desiredNodes: 1, readyNodes: 1 })
    } finally {
      await server.close()
      await rm(dir, { recursive: true })
    }
    // The server is gone: what runs now comes from the cache.
    await fixture.apply(instance('later', { image: 'early', podTemplate: promptly }))
    await fixture.ready('instance', 'later')
    expect(await fixture.exec('later', hello, 'cached')).toContain('cached')
    await fixture.end('later')
    await fixture.delete('containerimage', 'early')
    await until('its pods have gone', async () => (await kubectl.list(fixture.namespace, 'pod')).length === 0)
  })

  test('of what is no image says so, and fetches it no more', async () => {
    const server = await serveFiles(cluster, { 'text.sif': apptainerFile('merged.txt') })
    try {
      const file = { url: server.url('text.sif'), sha256: await sha256Of(apptainerFile('merged.txt')) }
      await fixture.apply({ ...image('text', {}), spec: { source: { file }, prefetch: {} } })
      const { message = '' } = await until(
        'its nodes say why',
        async () => {
          const prefetched = conditionOf(await fixture.get('containerimage', 'text'), 'Prefetched')
          return prefetched.reason === 'ImageNotConverted' && prefetched
        },
        { seconds: 90 },
      )
      expect(message).toContain('bad magic')
      const fetched = server.requests.filter((request) => request.startsWith('GET')).length
      await new Promise((resolve) => setTimeout(resolve, 20_000))
      expect(server.requests.filter((request) => request.startsWith('GET'))).toHaveLength(fetched)
    } finally {
      await server.close()
    }
    await fixture.delete('containerimage', 'text')
  })
})
