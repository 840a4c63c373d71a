import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import * as z from 'zod'
import { imageReference, testCluster } from './support/cluster.ts'
import { conditionOf, isReady } from './support/conditions.ts'
import { createFixture, type Fixture } from './support/fixture.ts'
import { freshImage } from './support/images.ts'
import { lingerInMounts, loopsOf } from './support/node.ts'
import { containerImage, instance, persistentOverlay, promptly } from './support/objects.ts'
import { registryLog, registrySecret, registrySecretName } from './support/registry.ts'
import { until } from './support/until.ts'

const { cluster, kubectl } = await testCluster()

const imageOf = z.object({ image: z.object({ digest: z.string() }) })

describe('one overlay, several that want it', () => {
  let fixture: Fixture
  beforeAll(async () => {
    fixture = await createFixture(kubectl, 'sharing')
    const names = ['contended', 'left', 'right', 'shared', 'forced', 'lingering']
    await fixture.apply(
      registrySecret(cluster),
      containerImage('debian', imageReference(cluster, 'library/debian:12'), { pullSecrets: [registrySecretName] }),
      ...names.map((name) => persistentOverlay(name)),
    )
  })
  afterAll(() => fixture.destroy())

  const readyNow = async (name: string) => isReady(await fixture.get('instance', name))
  const runningOnNode = async (name: string) => (await fixture.tryExec(name, 'true')).exitCode === 0

  test('two writers: one runs, the other names the holder and starts by itself when the first stops', async () => {
    await fixture.apply(instance('first', { overlays: ['contended'], podTemplate: promptly }))
    await fixture.ready('instance', 'first')
    await fixture.apply(instance('second', { overlays: ['contended'], podTemplate: promptly }))
    const waiting = await until('the second waits', async () => {
      const object = await fixture.get('instance', 'second')
      const condition = conditionOf(object, 'OverlaysReady')
      return condition.status === 'False' && condition
    })
    expect(waiting.message).toContain('first')
    expect(waiting.message).toContain('contended')
    await fixture.exec('first', 'touch', '/by-first')
    await fixture.delete('instance', 'first')
    await fixture.ready('instance', 'second', 20)
    await fixture.exec('second', 'ls', '/by-first')
    await fixture.delete('instance', 'second')
  })

  test('two that want two overlays in opposite order both come to run', async () => {
    const ends = { restartPolicy: 'Never', command: ['sh', '-c', 'sleep 1'], podTemplate: promptly }
    await fixture.apply(
      instance('there', { overlays: ['left', { name: 'right', access: 'ReadOnly' }], ...ends }),
      instance('back', { overlays: ['right', { name: 'left', access: 'ReadOnly' }], ...ends }),
    )
    await fixture.ready('instance', 'there', 90)
    await fixture.ready('instance', 'back', 90)
    await fixture.delete('instance', 'there')
    await fixture.delete('instance', 'back')
  })

  test('readers run side by side on one loop device; a waiting writer comes before later readers', async () => {
    await fixture.apply(instance('author', { overlays: ['shared'], podTemplate: promptly }))
    await fixture.ready('instance', 'author')
    await fixture.exec('author', 'sh', '-c', 'echo v1 > /text')
    await fixture.delete('instance', 'author')

    const reader = (name: string) =>
      instance(name, { overlays: [{ name: 'shared', access: 'ReadOnly' }], podTemplate: promptly })
    await fixture.apply(reader('reader-1'), reader('reader-2'))
    await fixture.ready('instance', 'reader-1')
    await fixture.ready('instance', 'reader-2')
    expect(await fixture.exec('reader-1', 'cat', '/text')).toBe('v1')
    expect(await fixture.exec('reader-2', 'cat', '/text')).toBe('v1')
    await fixture.exec('reader-1', 'sh', '-c', 'echo mine > /text')
    expect(await fixture.exec('reader-2', 'cat', '/text')).toBe('v1')

    await fixture.apply(instance('author', { overlays: ['shared'], podTemplate: promptly }))
    await until(
      'the writer waits',
      async () => conditionOf(await fixture.get('instance', 'author'), 'OverlaysReady').status === 'False',
    )
    await fixture.apply(reader('reader-3'))
    await until(
      'the late reader waits',
      async () => conditionOf(await fixture.get('instance', 'reader-3'), 'OverlaysReady').status === 'False',
    )
    await fixture.delete('instance', 'reader-1')
    await fixture.delete('instance', 'reader-2')
    await fixture.ready('instance', 'author')
    expect(await readyNow('reader-3')).toBe(false)
    await fixture.delete('instance', 'author')
    await fixture.ready('instance', 'reader-3')
    await fixture.delete('instance', 'reader-3')
  })

  test('a force-deleted pod frees its overlay only when it is unmounted: never two mounts', async () => {
    await fixture.apply(instance('hasty', { overlays: ['forced'] }))
    await fixture.ready('instance', 'hasty')
    await fixture.exec('hasty', 'sh', '-c', 'dd if=/dev/zero of=/big bs=1M count=20 2>/dev/null; echo written > /proof')
    const claim = (await fixture.get('persistentoverlay', 'forced')).metadata.name
    const pvc = await kubectl.get(fixture.namespace, 'pvc', `lamina-${claim}`)
    const volume = JSON.stringify(pvc.spec).match(/pvc-[0-9a-f-]+/)?.[0] ?? 'no volume'

    let most = 0
    let watching = true
    const watch = (async () => {
      while (watching) {
        const mounts = (await loopsOf('overlay.img')).filter(({ file }) => file.includes(volume))
        most = Math.max(most, mounts.length)
      }
    })()
    await kubectl.run([
      '-n',
      fixture.namespace,
      'delete',
      'pod',
      'hasty',
      '--force',
      '--grace-period=0',
      '--wait=false',
    ])
    await until(
      'a new pod runs',
      async () => {
        const pod = await kubectl.get(fixture.namespace, 'pod', 'hasty')
        return pod.metadata.deletionTimestamp === undefined && (await runningOnNode('hasty'))
      },
      { seconds: 90 },
    )
    watching = false
    await watch
    expect(most).toBe(1)
    expect(await fixture.exec('hasty', 'cat', '/proof')).toBe('written')
  })

  test('while something lingers in the mounts the overlay stays held; nothing is torn down under it', async () => {
    await fixture.apply(instance('lingers', { overlays: ['lingering'], podTemplate: promptly }))
    await fixture.ready('instance', 'lingers')
    const pod = await fixture.get('pod', 'lingers')
    const endLingering = await lingerInMounts(cluster, pod.metadata.uid ?? '')
    await fixture.delete('instance', 'lingers')
    await fixture.apply(instance('next', { overlays: ['lingering'], podTemplate: promptly }))
    await until('the next waits', async () => {
      const condition = conditionOf(await fixture.get('instance', 'next'), 'OverlaysReady')
      return condition.status === 'False' && condition.message.includes('lingers')
    })
    // Longer than the runtime waits for the kernel at the end of a container.
    await sleep(12_000)
    expect((await fixture.get('pod', 'lingers')).metadata.finalizers).toContain('lamina.dev/release')
    expect((await loopsOf(pod.metadata.uid ?? '')).filter(({ file }) => file.endsWith('/overlay.img'))).toHaveLength(1)
    await endLingering()
    await fixture.ready('instance', 'next', 30)
    await fixture.end('next')
  })

  test('five instances of an image that is new to the node: one conversion, and one device for all', async () => {
    const repository = `test/fresh-${randomBytes(4).toString('hex')}`
    const { layerDigest } = await freshImage(cluster, repository)
    await fixture.apply(
      containerImage('fresh', imageReference(cluster, `${repository}:1`), { pullSecrets: [registrySecretName] }),
    )
    const names = [1, 2, 3, 4, 5].map((number) => `five-${number}`)
    await fixture.apply(...names.map((name) => instance(name, { image: 'fresh', podTemplate: promptly })))
    for (const name of names) await fixture.ready('instance', name, 120)

    const fetched = (await registryLog(cluster)).filter((line) =>
      line.includes(`GET /v2/${repository}/blobs/${layerDigest} `),
    )
    expect(fetched.filter((line) => line.includes('" 200 '))).toHaveLength(1)

    const { digest } = imageOf.parse((await fixture.get('instance', 'five-1')).status).image
    // The kernel has one superblock for a device and file system, however often it is mounted (get_tree_bdev).
    expect(await loopsOf(`/images/${digest.replace(':', '-')}/image`)).toHaveLength(1)
    for (const name of names) await fixture.delete('instance', name, '--wait=false')
  })
})
