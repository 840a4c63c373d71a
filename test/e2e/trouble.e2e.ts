import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { imageReference, testCluster } from './support/cluster.ts'
import { conditionOf } from './support/conditions.ts'
import { createFixture, type Fixture } from './support/fixture.ts'
import { freshImage } from './support/images.ts'
import { filesOnNode, loopsOf, onNode } from './support/node.ts'
import { containerImage, instance, persistentOverlay, promptly } from './support/objects.ts'
import { registrySecret, registrySecretName } from './support/registry.ts'
import { until } from './support/until.ts'

const { cluster, kubectl } = await testCluster()

describe('trouble names its cause and the next step, and mends itself when the cause is gone', () => {
  let fixture: Fixture
  beforeAll(async () => {
    fixture = await createFixture(kubectl, 'trouble')
    await fixture.apply(registrySecret(cluster))
  })
  afterAll(() => fixture.destroy())

  /** Waits until the condition is as wanted and its message matches. */
  const told = (kind: string, name: string, type: string, pattern: RegExp, seconds = 60) =>
    until(
      `${kind}/${name} says ${pattern}`,
      async () => {
        const condition = conditionOf(await fixture.get(kind, name), type)
        return pattern.test(`${condition.reason}: ${condition.message}`) && condition
      },
      { seconds, describe: async () => JSON.stringify((await fixture.get(kind, name)).status, null, 1) },
    )
  const warned = (kind: string, name: string, pattern: RegExp) =>
    until(`an Event on ${kind}/${name} says ${pattern}`, async () =>
      (await fixture.events(kind, name)).some(({ type, message }) => type === 'Warning' && pattern.test(message)),
    )
  const debian = () => imageReference(cluster, 'library/debian:12')
  const pullSecrets = [registrySecretName]

  test('a tag that does not exist', async () => {
    await fixture.apply(containerImage('tag', imageReference(cluster, 'library/debian:nope'), { pullSecrets }))
    await told('containerimage', 'tag', 'Ready', /nope/)
    await warned('ContainerImage', 'tag', /nope/)
    await fixture.apply(containerImage('tag', debian(), { pullSecrets }))
    await fixture.ready('containerimage', 'tag')
  })

  test("a private image without a secret, although another namespace's instances run it on this node", async () => {
    await fixture.apply(containerImage('private', debian()))
    const condition = await told('containerimage', 'private', 'Ready', /[Uu]nauthorized|pullSecrets|credentials/)
    expect(condition.message).toMatch(/pullSecrets/)
    await fixture.apply(instance('private', { image: 'private' }))
    await told('instance', 'private', 'ImageReady', /private/)
    expect(await kubectl.list(fixture.namespace, 'pods')).toEqual([])
    await fixture.apply(containerImage('private', debian(), { pullSecrets }))
    await fixture.ready('instance', 'private', 120)
    await fixture.delete('instance', 'private')
  })

  test('a pull secret that is not in this namespace', async () => {
    await fixture.apply(containerImage('absent', debian(), { pullSecrets: ['elsewhere'] }))
    await told('containerimage', 'absent', 'Ready', /elsewhere/)
  })

  test('a missing image and a missing overlay', async () => {
    await fixture.apply(instance('early', { image: 'late', overlays: ['late'], podTemplate: promptly }))
    await told('instance', 'early', 'ImageReady', /late/)
    await told('instance', 'early', 'OverlaysReady', /late/)
    await fixture.apply(containerImage('late', debian(), { pullSecrets }), persistentOverlay('late'))
    await fixture.ready('instance', 'early', 120)
    await fixture.delete('instance', 'early')
  })

  test('an overlay of impossible size', async () => {
    await fixture.apply(containerImage('debian', debian(), { pullSecrets }))
    await fixture.apply(persistentOverlay('huge', { size: '900Gi' }), instance('huge', { overlays: ['huge'] }))
    await told('persistentoverlay', 'huge', 'Ready', /64Gi/, 90)
    await fixture.delete('instance', 'huge')
    await fixture.delete('persistentoverlay', 'huge')
  })

  test('an overlay that grows is larger at the next start, and its files are there', async () => {
    await fixture.apply(persistentOverlay('grows'), instance('grows', { overlays: ['grows'], podTemplate: promptly }))
    await fixture.ready('instance', 'grows', 120)
    await fixture.exec('grows', 'sh', '-c', 'echo here > /kept')
    await fixture.delete('instance', 'grows')
    await fixture.apply(
      persistentOverlay('grows', { size: '160Mi' }),
      instance('grows', { overlays: ['grows'], podTemplate: promptly }),
    )
    await fixture.ready('instance', 'grows', 120)
    expect(await fixture.exec('grows', 'cat', '/kept')).toBe('here')
    const kilobytes = Number((await fixture.exec('grows', 'df', '-k', '--output=size', '/')).split('\n')[1])
    expect(kilobytes).toBeGreaterThan(130 * 1024)
    await fixture.delete('instance', 'grows')
  })

  test('a smaller size is refused by the API server, in words', async () => {
    await expect(fixture.apply(persistentOverlay('grows', { size: '32Mi' }))).rejects.toThrow(/size/)
  })

  test('a cache disk that fills during conversion', async () => {
    const images = '/var/lib/lamina/images'
    const repository = `test/fresh-${randomBytes(4).toString('hex')}`
    await freshImage(cluster, repository)
    const script = (text: string) => onNode(cluster, 'sh', '-ec', text)
    await script(`truncate -s 24M /run/small; mkfs.ext4 -q /run/small; mount -o loop /run/small ${images}`)
    try {
      await fixture.apply(
        containerImage('fresh', imageReference(cluster, `${repository}:1`), { pullSecrets }),
        instance('full', { image: 'fresh', podTemplate: promptly }),
      )
      await told('instance', 'full', 'ImageReady', /no space left/, 120)
      await warned('Instance', 'full', /no space left.*make room/)
      await until('nothing half-made is left', async () => {
        const files = await filesOnNode(cluster, images)
        return files.filter((file) => !file.endsWith('lost+found')).length === 0
      })
    } finally {
      await script(`umount ${images}; rm /run/small`)
    }
    await fixture.ready('instance', 'full', 180)
    await fixture.delete('instance', 'full')
  })

  test('an overlay whose `upper` is a link to the host is refused; nothing of the host is shown', async () => {
    await fixture.apply(
      persistentOverlay('linked'),
      instance('linked', { overlays: ['linked'], podTemplate: promptly }),
    )
    await fixture.ready('instance', 'linked', 120)
    const pvc = await kubectl.get(fixture.namespace, 'pvc', 'lamina-linked')
    await fixture.end('linked')
    const image = `${cluster.layout.stateDir}/volumes/${String(pvc.spec?.volumeName)}/overlay.img`
    await onNode(
      cluster,
      'sh',
      '-c',
      `mkdir -p /run/edit && mount -o loop ${image} /run/edit && rm -rf /run/edit/upper && ln -s /etc /run/edit/upper && umount /run/edit`,
    )
    await fixture.apply(instance('linked', { overlays: ['linked'], podTemplate: promptly }))
    await told('instance', 'linked', 'OverlaysReady', /symbolic link/, 90)
    await fixture.delete('instance', 'linked')
  })

  test('an image with `errors=panic` mounts, and an unclean one is replayed for a reader', async () => {
    await fixture.apply(persistentOverlay('rough'), instance('rough', { overlays: ['rough'], podTemplate: promptly }))
    await fixture.ready('instance', 'rough', 120)
    const pvc = await kubectl.get(fixture.namespace, 'pvc', 'lamina-rough')
    const image = `${cluster.layout.stateDir}/volumes/${String(pvc.spec?.volumeName)}/overlay.img`
    await fixture.exec('rough', 'sh', '-c', 'echo journalled > /entry; sync')
    // A copy of the live image is what a power cut would leave.
    await onNode(cluster, 'cp', image, `${image}.unclean`)
    await fixture.end('rough')
    await onNode(
      cluster,
      'sh',
      '-c',
      `cat ${image}.unclean > ${image} && rm ${image}.unclean && tune2fs -e panic ${image}`,
    )
    await fixture.apply(instance('rough', { overlays: [{ name: 'rough', access: 'ReadOnly' }], podTemplate: promptly }))
    await fixture.ready('instance', 'rough', 90)
    expect(await fixture.exec('rough', 'cat', '/entry')).toBe('journalled')
    await fixture.delete('instance', 'rough')
  })

  test('nothing of it all is left attached', async () => {
    await until(
      'no overlay image is attached',
      async () =>
        (await loopsOf(`${cluster.layout.stateDir}/volumes/`)).filter(({ file }) => file.endsWith('overlay.img'))
          .length === 0,
    )
  })
})
