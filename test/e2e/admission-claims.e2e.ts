import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { sandboxImage } from '../cluster/components.ts'
import { testCluster } from './support/cluster.ts'
import { createFixture, type Fixture } from './support/fixture.ts'
import { as, expectAllowed, expectDenied, letDeveloperEdit, pod, requestsIn } from './support/requests.ts'
import { until } from './support/until.ts'

const { kubectl } = await testCluster()

let fixture: Fixture
const { run, create, tryPatch } = requestsIn(kubectl, () => fixture.namespace)
beforeAll(async () => {
  fixture = await createFixture(kubectl, 'admission-claims')
  await letDeveloperEdit(fixture)
})
afterAll(() => fixture.destroy())

const withClaim = (claimName: string) => ({
  volumes: [{ name: 'lamina-0', persistentVolumeClaim: { claimName } }],
})
const claim = (name: string, { metadata = {}, spec = {} }: { metadata?: object; spec?: object } = {}) => ({
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  metadata: { name, ...metadata },
  spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '64Mi' } }, ...spec },
})

describe("an overlay's claim", () => {
  beforeAll(async () => {
    await create(as.controller, pod('genuine', { spec: withClaim('lamina-mine') }))
  })

  test('is mounted by pods that the controller makes, and by no others', async () => {
    const thief = pod('thief', { spec: withClaim('lamina-mine') })
    await expectDenied(create(as.admin, thief, '--dry-run=server'), 'claims', 'claim lamina-mine holds an overlay')
    await expectDenied(create(as.developer, thief, '--dry-run=server'), 'claims', 'claim lamina-mine holds an overlay')
    await expectAllowed(create(as.controller, thief, '--dry-run=server'))
    await expectAllowed(create(as.developer, pod('other', { spec: withClaim('mine') }), '--dry-run=server'))
  })

  test('is not mounted by way of a Deployment either', async () => {
    const { spec } = pod('unused', { spec: withClaim('lamina-mine') })
    const labels = { app: 'thief' }
    await fixture.apply({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'thief' },
      spec: { selector: { matchLabels: labels }, template: { metadata: { labels }, spec } },
    })
    await until('the ReplicaSet says why it has no pod', async () =>
      (await kubectl.run(['-n', fixture.namespace, 'get', 'events'])).includes('claim lamina-mine holds an overlay'),
    )
  })

  test('is not reached by another image in a pod that has it', async () => {
    const image = { spec: { containers: [{ name: 'main', image: 'other' }] } }
    await expectDenied(
      tryPatch(as.developer, 'pod/genuine', image, '--type=strategic'),
      'claims',
      'so its images stay as they are',
    )
    await expectAllowed(tryPatch(as.developer, 'pod/genuine', { metadata: { labels: { mine: 'yes' } } }))
  })

  test('is not mounted by a debug container', async () => {
    const debug = async (who: string[], mounts: object[]) => {
      const { spec, ...rest } = await kubectl.get(fixture.namespace, 'pod', 'genuine')
      const container = { name: 'debug', image: sandboxImage, volumeMounts: mounts }
      const path = `/api/v1/namespaces/${fixture.namespace}/pods/genuine/ephemeralcontainers?dryRun=All`
      return run(who, ['replace', '--raw', path, '-f', '-'], {
        ...rest,
        spec: { ...spec, ephemeralContainers: [container] },
      })
    }
    await expectDenied(
      debug(as.admin, [{ name: 'lamina-0', mountPath: '/x' }]),
      'claims',
      'a debug container may not mount volumes named lamina-*, here claim lamina-mine',
    )
    await expectAllowed(debug(as.admin, []))
  })

  test('is not mounted by a copy of its pod', async () => {
    const copy = [
      'debug',
      'genuine',
      '--copy-to=copy',
      `--image=${sandboxImage}`,
      '--profile=restricted',
      '--attach=false',
    ]
    const { exitCode, stderr } = await run(as.developer, copy)
    expect(stderr).toContain('claim lamina-mine holds an overlay')
    expect(exitCode).not.toBe(0)
  })

  describe('is no ephemeral volume of a pod, though pod and volume have its name', () => {
    const ephemeral = (name: string) =>
      pod('lamina', {
        spec: {
          volumes: [
            {
              name,
              ephemeral: {
                volumeClaimTemplate: {
                  metadata: { labels: { 'lamina.dev/overlay': name } },
                  spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '64Mi' } } },
                },
              },
            },
          ],
        },
      })
    const words = 'claims lamina-* hold overlays: give the pod or its ephemeral volume another name'
    const controllers = [
      'system:serviceaccount:kube-system:ephemeral-volume-controller',
      'system:kube-controller-manager',
    ]
    afterEach(() => fixture.delete('pod', 'lamina'))

    test('made before the overlay: the pod waits, and says why', async () => {
      await create(as.developer, ephemeral('planted'))
      await until('an Event says why', async () =>
        (await fixture.events('Pod', 'lamina')).some(({ message }) => message.includes(words)),
      )
      expect((await run(as.admin, ['get', 'pvc', 'lamina-planted'])).stderr).toContain('NotFound')
    })

    test("made the pod's later: not by who may edit the claim, nor by the controller", async () => {
      await create(as.controller, claim('lamina-there'))
      await create(as.developer, ephemeral('there'))
      const { uid } = (await fixture.get('pod', 'lamina')).metadata
      const owner = { apiVersion: 'v1', kind: 'Pod', name: 'lamina', uid, controller: true }
      const patch = { metadata: { ownerReferences: [owner] } }
      for (const who of [as.developer, as.admin, as.controller]) {
        await expectDenied(tryPatch(who, 'pvc/lamina-there', patch), 'claim-owners', words)
        await expectDenied(tryPatch(who, 'pvc/lamina-there', patch, '--subresource=status'), 'claim-owners', words)
      }
      for (const name of controllers) {
        const owned = claim('lamina-else', { metadata: { ownerReferences: [owner] } })
        const who = ['--as', name, '--as-group', 'system:masters']
        await expectDenied(create(who, owned, '--dry-run=server'), 'claim-owners', words)
      }
      await create(as.developer, claim('there'))
      await expectAllowed(tryPatch(as.developer, 'pvc/there', patch))
    })
  })

  test('is not filled from elsewhere but by an administrator', async () => {
    const clone = { dataSource: { kind: 'PersistentVolumeClaim', name: 'crafted' } }
    for (const source of [clone, { volumeName: 'chosen' }]) {
      const filled = claim('lamina-new', { spec: source })
      await expectDenied(create(as.developer, filled, '--dry-run=server'), 'claim-sources', 'claim lamina-new')
      await expectAllowed(create(as.admin, filled, '--dry-run=server'))
      await expectAllowed(create(as.developer, claim('new', { spec: source }), '--dry-run=server'))
    }
    await expectAllowed(create(as.developer, claim('lamina-new'), '--dry-run=server'))
  })

  test('is not given a chosen volume later, while it waits for its own', async () => {
    await create(as.developer, claim('lamina-waits'))
    await create(as.developer, claim('waits'))
    const chosen = { spec: { volumeName: 'chosen' } }
    await expectDenied(tryPatch(as.developer, 'pvc/lamina-waits', chosen), 'claim-sources', 'claim lamina-waits')
    await expectAllowed(tryPatch(as.developer, 'pvc/waits', chosen))
    await expectAllowed(tryPatch(as.admin, 'pvc/lamina-waits', chosen))
    await expectAllowed(tryPatch(as.developer, 'pvc/lamina-waits', { metadata: { labels: { mine: 'yes' } } }))
  })

  test('is bound to the volume that is made for it', async () => {
    await create(as.developer, claim('lamina-bound', { spec: { storageClassName: 'loop-immediate' } }))
    await until('it is bound', async () => (await fixture.get('pvc', 'lamina-bound')).status?.phase === 'Bound')
  })

  describe('remembers its base', () => {
    const remembers = (base: string | null) => ({ metadata: { annotations: { 'lamina.dev/base': base } } })
    const words = 'the annotation lamina.dev/base of claim lamina-'
    beforeAll(async () => {
      await create(as.controller, claim('lamina-based', remembers('{"digest":"true"}')))
      await create(as.controller, claim('lamina-baseless'))
    })

    test('from the controller or an administrator when it is made', async () => {
      const based = claim('lamina-made', remembers('{"digest":"crafted"}'))
      await expectDenied(create(as.developer, based, '--dry-run=server'), 'claim-base', words)
      await expectAllowed(create(as.controller, based, '--dry-run=server'))
      await expectAllowed(create(as.admin, based, '--dry-run=server'))
      const other = claim('made', remembers('{"digest":"crafted"}'))
      await expectAllowed(create(as.developer, other, '--dry-run=server'))
    })

    test.each([
      ['set', 'lamina-baseless', '{"digest":"crafted"}'],
      ['changed', 'lamina-based', '{"digest":"crafted"}'],
      ['removed', 'lamina-based', null],
    ])('whatever others write: it is not %s', async (_how, name, base) => {
      const patch = (who: string[], ...flags: string[]) => tryPatch(who, `pvc/${name}`, remembers(base), ...flags)
      await expectDenied(patch(as.developer), 'claim-base', words)
      await expectDenied(patch(as.developer, '--subresource=status'), 'claim-base', words)
      await expectAllowed(patch(as.controller))
      await expectAllowed(patch(as.admin))
    })

    test('and is otherwise open to those who may edit claims', async () => {
      const other = { metadata: { annotations: { 'example.com/note': 'mine' }, labels: { mine: 'yes' } } }
      await expectAllowed(tryPatch(as.developer, 'pvc/lamina-based', other))
      await expectAllowed(run(as.developer, ['delete', 'pvc/lamina-based', '--dry-run=server']))
    })
  })
})
