import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { imageReference, testCluster } from './support/cluster.ts'
import { conditionOf } from './support/conditions.ts'
import { createFixture, type Fixture } from './support/fixture.ts'
import { loopsOf, onNode } from './support/node.ts'
import { containerImage, instance, persistentOverlay, promptly } from './support/objects.ts'
import { registrySecret, registrySecretName } from './support/registry.ts'
import { until } from './support/until.ts'
import { overlayVolume } from './support/volumes.ts'

const { cluster, kubectl } = await testCluster()

describe('a status is true at every step', () => {
  let fixture: Fixture
  beforeAll(async () => {
    fixture = await createFixture(kubectl, 'statuses')
    await fixture.apply(
      registrySecret(cluster),
      containerImage('debian', imageReference(cluster, 'library/debian:12'), { pullSecrets: [registrySecretName] }),
    )
  })
  afterAll(() => fixture.destroy())

  const told = async (kind: string, name: string, type: string): Promise<string> => {
    const { status, reason, message } = conditionOf(await fixture.get(kind, name), type)
    return `${status} ${reason}: ${message}`
  }
  const says = (kind: string, name: string, type: string, pattern: RegExp, seconds = 60) =>
    until(`${kind} ${name} says ${pattern}`, async () => pattern.test(await told(kind, name, type)), { seconds })
  /** As users and pipelines do it. */
  const wait = (kind: string, name: string, condition: string) =>
    kubectl.run(['-n', fixture.namespace, 'wait', `${kind}/${name}`, `--for=condition=${condition}`, '--timeout=60s'], {
      timeoutSeconds: 70,
    })
  const once = (name: string, more: object = {}) =>
    instance(name, { restartPolicy: 'Never', podTemplate: promptly, ...more })
  const podUID = async (name: string) =>
    (await kubectl.list(fixture.namespace, 'pods', `lamina.dev/instance=${name}`))[0]?.metadata.uid

  test('an overlay that is deleted in use: kubectl warns, the instance says so and runs on, and the data are taken up again', async () => {
    await fixture.apply(persistentOverlay('kept'), instance('keeper', { overlays: ['kept'], podTemplate: promptly }))
    await fixture.ready('instance', 'keeper')
    await fixture.exec('keeper', 'sh', '-c', 'echo here > /kept; sync')
    const { stderr } = await kubectl.try(['-n', fixture.namespace, 'delete', 'persistentoverlay', 'kept'])
    expect(stderr).toMatch(/Warning: .*"kept" is in use by instance keeper.*stay in PersistentVolumeClaim lamina-kept/)
    await says('instance', 'keeper', 'OverlaysReady', /^False OverlayDeleted: .*stay in .*lamina-kept/)
    expect(await told('instance', 'keeper', 'Ready')).toMatch(/^True Running/)
    await until('an Event says so', async () =>
      (await fixture.events('Instance', 'keeper')).some(
        ({ type, reason }) => type === 'Warning' && reason === 'OverlayDeleted',
      ),
    )
    expect(await fixture.exec('keeper', 'cat', '/kept')).toBe('here')

    await fixture.apply(persistentOverlay('kept'))
    await says('instance', 'keeper', 'OverlaysReady', /^True/)
    await says('persistentoverlay', 'kept', 'Attached', /^True Writer: keeper/)
    await kubectl.run(['-n', fixture.namespace, 'delete', 'pod', 'keeper'])
    await fixture.ready('instance', 'keeper')
    expect(await fixture.exec('keeper', 'cat', '/kept')).toBe('here')
    await fixture.end('keeper')
  })

  test('a claim that is deleted in use: kubectl warns, and instance and overlay say what goes, and when', async () => {
    await fixture.apply(persistentOverlay('going'), instance('owner', { overlays: ['going'], podTemplate: promptly }))
    await fixture.ready('instance', 'owner')
    const { stderr } = await kubectl.try(['-n', fixture.namespace, 'delete', 'pvc', 'lamina-going', '--wait=false'])
    expect(stderr).toMatch(/Warning: .*lamina-going" holds the data of PersistentOverlay "going"/)
    await says('instance', 'owner', 'OverlaysReady', /^False OverlayClaimDeleted: .*copy out what you need/)
    await says('persistentoverlay', 'going', 'Ready', /^False ClaimLost: .*goes when owner has ended: copy out/)
    expect(await told('instance', 'owner', 'Ready')).toMatch(/^True Running/)
    await fixture.end('owner')
    await says('persistentoverlay', 'going', 'Ready', /^False ClaimLost: .*is gone/)
    await fixture.delete('persistentoverlay', 'going')
  })

  test('an unused overlay is deleted without a warning', async () => {
    await fixture.apply(persistentOverlay('unused'))
    await wait('persistentoverlay', 'unused', 'Ready')
    const { stderr } = await kubectl.try(['-n', fixture.namespace, 'delete', 'persistentoverlay', 'unused'])
    expect(stderr).toBe('')
  })

  test('a claim from before that is being deleted is waited for', async () => {
    await fixture.apply(persistentOverlay('anew'), instance('user', { overlays: ['anew'], podTemplate: promptly }))
    await fixture.ready('instance', 'user')
    await fixture.delete('persistentoverlay', 'anew')
    await kubectl.run(['-n', fixture.namespace, 'delete', 'pvc', 'lamina-anew', '--wait=false'])
    await fixture.apply(persistentOverlay('anew'))
    await says('persistentoverlay', 'anew', 'Ready', /^False WaitingForPreviousClaim/)
    expect(await told('persistentoverlay', 'anew', 'Stalled')).toMatch(/^False/)
    await fixture.end('user')
    await wait('persistentoverlay', 'anew', 'Ready')
  })

  test('a file system that does not grow in use says why, and grows at the next start', async () => {
    await fixture.apply(persistentOverlay('grows'), instance('grower', { overlays: ['grows'], podTemplate: promptly }))
    await fixture.ready('instance', 'grower')
    await until(
      'the node has looked at it',
      async () => conditionOf(await fixture.get('persistentoverlay', 'grows'), 'Healthy').reason === 'Clean',
    )
    const { path } = await overlayVolume({ kubectl, fixture }, 'grows')
    const [loop] = (await loopsOf('overlay.img')).filter(({ file }) => file.includes(path.split('/').at(-1) ?? ''))
    await onNode(cluster, 'sh', '-c', `echo test > /sys/fs/ext4/${loop?.device}/trigger_fs_error`)
    await fixture.apply(persistentOverlay('grows', { size: '96Mi' }))
    await says('persistentoverlay', 'grows', 'Resizing', /^True RestartRequired: .*the kernel noted errors/)
    await kubectl.run(['-n', fixture.namespace, 'delete', 'pod', 'grower'])
    await says('persistentoverlay', 'grows', 'Resizing', /^False AsSpecified/)
    await fixture.ready('instance', 'grower')
    await fixture.end('grower')
  })

  test('a pod that cannot be is Stalled, until the spec is corrected', async () => {
    const withHost = (hostname: string) => instance('wrong', { podTemplate: { spec: { ...promptly.spec, hostname } } })
    await fixture.apply(withHost('Not_A_Name'))
    await wait('instance', 'wrong', 'Stalled')
    expect(await told('instance', 'wrong', 'Ready')).toMatch(/^False PodInvalid: .*hostname/)
    await fixture.apply(withHost('a-name'))
    await wait('instance', 'wrong', 'Ready')
    expect(await told('instance', 'wrong', 'Stalled')).toMatch(/^False/)
    await fixture.end('wrong')
  })

  test('a start that fails says so while it is tried again, and nothing else between', async () => {
    await fixture.apply(once('unstartable', { command: ['/no/such/program'] }))
    await says('instance', 'unstartable', 'Ready', /^False StartFailed: .*\/no\/such\/program/)
    const before = await podUID('unstartable')
    const seen = new Set<string>()
    const look = async () => {
      const [words = ''] = (await told('instance', 'unstartable', 'Ready')).split('; the next pod is made at')
      seen.add(words)
    }
    await until('another pod is tried', async () => {
      await look()
      const now = await podUID('unstartable')
      return now !== undefined && now !== before
    })
    for (let looks = 0; looks < 20; looks++) {
      await look()
      await sleep(100)
    }
    expect([...seen]).toHaveLength(1)
    await fixture.end('unstartable')
  })

  test('a finished instance that is edited says what applies it; and that does', async () => {
    const printing = (word: string) => once('job', { command: ['echo', word] })
    await fixture.apply(printing('first'))
    await says('instance', 'job', 'Ready', /^True Completed/)
    await fixture.apply(printing('second'))
    await says('instance', 'job', 'UpToDate', /^False RestartRequired: .*lamina.dev\/start-requested/)
    await kubectl.run(['-n', fixture.namespace, 'delete', 'pod', 'job'])
    await fixture.apply(printing('third'))
    await says('instance', 'job', 'UpToDate', /^False RestartRequired/)
    expect(await told('instance', 'job', 'Ready')).toMatch(/^True Completed: exit code 0/)

    const before = await podUID('job')
    await kubectl.run([
      ...['-n', fixture.namespace, 'annotate', '--overwrite', 'instance/job', 'lamina.dev/start-requested=again'],
    ])
    await until('it has run again, as it is asked now', async () => {
      const isAnother = (await podUID('job')) !== before
      const words = [await told('instance', 'job', 'Ready'), await told('instance', 'job', 'UpToDate')].join(' ')
      return isAnother && /^True Completed.* True AsSpecified/.test(words)
    })
    expect(await kubectl.run(['-n', fixture.namespace, 'logs', 'job', '-c', 'main'])).toBe('third\n')
  })

  test('one made anew under the name of a finished one is never told that the name is taken', async () => {
    await fixture.apply(once('again', { command: ['true'] }))
    await says('instance', 'again', 'Ready', /^True Completed/)
    const before = await podUID('again')
    await kubectl.run(['-n', fixture.namespace, 'delete', 'instance', 'again', '--wait=false'])
    await fixture.apply(once('again', { command: ['true'] }))
    await until('it has run by a pod of its own', async () => {
      expect(await told('instance', 'again', 'Stalled')).not.toMatch(/^True/)
      const isAnother = (await podUID('again')) !== before
      return isAnother && /^True Completed/.test(await told('instance', 'again', 'Ready'))
    })
  })
})
