import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { imageReference, testCluster } from './support/cluster.ts'
import { conditionOf } from './support/conditions.ts'
import { createFixture, type Fixture } from './support/fixture.ts'
import { killInit, loopsOf, onNode } from './support/node.ts'
import { containerImage, instance, persistentOverlay, promptly } from './support/objects.ts'
import { registrySecret, registrySecretName } from './support/registry.ts'
import { until } from './support/until.ts'
import { inVolume, overlayVolume } from './support/volumes.ts'

const { cluster, kubectl } = await testCluster()

let fixture: Fixture
beforeAll(async () => {
  fixture = await createFixture(kubectl, 'health')
  await fixture.apply(
    registrySecret(cluster),
    containerImage('debian', imageReference(cluster, 'library/debian:12'), { pullSecrets: [registrySecretName] }),
  )
})
afterAll(() => fixture.destroy())

const start = async (name: string, overlays: Parameters<typeof instance>[1]['overlays'] = [name]): Promise<void> => {
  await fixture.apply(instance(name, { overlays, podTemplate: promptly }))
  await fixture.ready('instance', name, 90)
}

/** An overlay that has been used and is free again, and that is then damaged; nobody in the cluster knows of that. */
const damagedBetween = async (name: string, damage: string): Promise<void> => {
  await fixture.apply(persistentOverlay(name))
  await start(name)
  await fixture.exec(name, 'sh', '-euc', 'mkdir /opt/a; for i in 1 2 3 4; do echo $i > /opt/a/$i; done; sync')
  await fixture.end(name)
  await inVolume(cluster, await overlayVolume({ kubectl, fixture }, name), damage)
}

const healthOf = async (name: string) => conditionOf(await fixture.get('persistentoverlay', name), 'Healthy')

const eventsOf = async (name: string): Promise<unknown[]> =>
  (await fixture.events('PersistentOverlay', name)).map(({ reason }) => reason)

/** An instance cannot start, and it is said that the damage is for a person to mend. */
const refused = async (name: string): Promise<string> =>
  until(
    'the damage is told',
    async () => {
      const condition = conditionOf(await fixture.get('instance', name), 'OverlaysReady')
      return condition.reason === 'OverlayDamaged' && condition.message
    },
    { seconds: 90 },
  )

const debugfs = (command: string) => `debugfs -w -R "${command}" overlay.img 2>/dev/null`
const blockOf = (file: string) => `$(debugfs -R "bmap /upper/opt/a/${file} 0" overlay.img 2>/dev/null)`
/** Two files with one block, and a name without an inode: beyond e2fsck -p. */
const beyondPreening = `${debugfs(`sif /upper/opt/a/2 block[0] ${blockOf('1')}`)}\n${debugfs('clri /upper/opt/a/4')}`

describe('damage that the kernel meets while it is in use', () => {
  const met = async (name: string, damage: string, meet: string): Promise<void> => {
    await damagedBetween(name, damage)
    await start(name)
    await fixture.tryExec(name, 'sh', '-c', meet)
    await until('the node says so while it runs', async () => (await healthOf(name)).reason === 'FileSystemErrors')
    expect((await healthOf(name)).status).toBe('False')
    await fixture.end(name)
  }

  test('is mended at the next start where e2fsck -p can, and told', async () => {
    await met('mendable', debugfs(`freeb ${blockOf('2')}`), 'rm /opt/a/2; sync')
    await start('mendable')
    expect(await fixture.exec('mendable', 'cat', '/opt/a/3')).toBe('3')
    expect((await healthOf('mendable')).status).toBe('True')
    expect((await fixture.get('persistentoverlay', 'mendable')).status).toHaveProperty('lastCheckTime')
    expect(await eventsOf('mendable')).toContain('OverlayRepaired')
    await fixture.end('mendable')
  })

  test('is never repaired silently where it cannot: no writer, but readers, until a person has mended it', async () => {
    await met('broken', beyondPreening, 'cat /opt/a/4')
    await fixture.apply(instance('writer', { overlays: ['broken'], podTemplate: promptly }))
    expect(await refused('writer')).toContain('e2fsck')
    expect(conditionOf(await fixture.get('instance', 'writer'), 'Stalled')).toMatchObject({
      status: 'True',
      reason: 'OverlayDamaged',
    })
    expect((await healthOf('broken')).status).toBe('False')
    await fixture.end('writer')
    await start('rescue', [{ name: 'broken', access: 'ReadOnly' }])
    expect(await fixture.exec('rescue', 'cat', '/opt/a/3')).toBe('3')
    await fixture.end('rescue')

    await inVolume(
      cluster,
      await overlayVolume({ kubectl, fixture }, 'broken'),
      'e2fsck -fy overlay.img || test $? = 1',
    )
    await start('broken')
    expect(await fixture.exec('broken', 'cat', '/opt/a/3')).toBe('3')
    expect(await healthOf('broken')).toMatchObject({ status: 'True' })
    await fixture.end('broken')
  })
})

test('errors that the kernel notes in the first life of an overlay: a restart in place leads to a check, too', async () => {
  await fixture.apply(persistentOverlay('restarted'))
  await start('restarted')
  await fixture.exec('restarted', 'sh', '-c', 'echo kept > /kept; sync')
  const { uid } = (await fixture.get('pod', 'restarted')).metadata
  const image = `${(await overlayVolume({ kubectl, fixture }, 'restarted')).path.split('/').at(-1)}/overlay.img`
  const loops = (await loopsOf('')).filter(({ file }) => file.includes(image))
  expect(loops).toHaveLength(1)
  for (const { device } of loops)
    await onNode(cluster, 'sh', '-c', `echo test > /sys/fs/ext4/${device}/trigger_fs_error`)
  await killInit(cluster, uid ?? '')
  await until(
    'another pod has taken its place',
    async () => {
      const pod = await kubectl.try([
        '-n',
        fixture.namespace,
        'get',
        'pod',
        'restarted',
        '-o',
        'jsonpath={.metadata.uid}',
      ])
      return pod.stdout !== '' && pod.stdout !== uid
    },
    { seconds: 90 },
  )
  await fixture.ready('instance', 'restarted', 90)
  expect(await fixture.exec('restarted', 'cat', '/kept')).toBe('kept')
  expect((await healthOf('restarted')).status).toBe('True')
  await fixture.end('restarted')
})

describe('damage between two starts, of which nobody knows', () => {
  test.each([
    { what: 'errors on record', name: 'noted', verdict: 'Clean', damage: debugfs('ssv error_count 2') },
    {
      what: 'a journal that is overwritten',
      name: 'journal',
      verdict: 'Repaired',
      damage:
        'dd if=/dev/zero of=overlay.img bs=4096 count=1 conv=notrunc seek=$(debugfs -R "bmap <8> 0" overlay.img 2>/dev/null) 2>/dev/null',
    },
  ])(
    '$what: the pod is replaced by one that has it checked, and the instance runs',
    async ({ name, damage, verdict }) => {
      await damagedBetween(name, damage)
      expect((await healthOf(name)).status).toBe('True')
      await start(name)
      expect(await fixture.exec(name, 'cat', '/opt/a/3')).toBe('3')
      expect(await healthOf(name)).toMatchObject({ status: 'True', reason: verdict })
      expect(await eventsOf(name)).toContain('OverlayCheckNeeded')
      await fixture.end(name)
    },
  )

  test('a root directory that is gone: told as damage, and the pod is replaced once', async () => {
    await damagedBetween('rootless', debugfs('clri <2>'))
    await fixture.apply(instance('rootless', { overlays: ['rootless'], podTemplate: promptly }))
    expect(await refused('rootless')).toContain('e2fsck -f')
    expect(await healthOf('rootless')).toMatchObject({ status: 'False', reason: 'FileSystemDamaged' })
    const { uid } = (await fixture.get('pod', 'rootless')).metadata
    await new Promise((resolve) => setTimeout(resolve, 15_000))
    expect((await fixture.get('pod', 'rootless')).metadata.uid).toBe(uid)
    await fixture.end('rootless')
  })
})
