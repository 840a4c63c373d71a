import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { installOperator } from '../cluster/operator.ts'
import { imageReference, testCluster } from './support/cluster.ts'
import { createFixture, type Fixture } from './support/fixture.ts'
import { createHelm } from './support/helm.ts'
import { containerImage, instance, persistentOverlay, promptly } from './support/objects.ts'
import { operatorNamespace } from './support/operator.ts'
import { registrySecret, registrySecretName } from './support/registry.ts'
import { until } from './support/until.ts'

const { cluster, kubectl } = await testCluster()
const chart = join(import.meta.dirname, '../../charts/lamina')

const helm = createHelm(cluster, operatorNamespace)

const debian = containerImage('debian', imageReference(cluster, 'library/debian:12'), {
  pullSecrets: [registrySecretName],
})

const operatorPods = () => kubectl.list(operatorNamespace, 'pods', 'app.kubernetes.io/name=lamina')

describe('the chart', () => {
  test('says after an installation what it has and what it lacks', async () => {
    const notes = async (...values: string[]) =>
      (await helm(['install', 'lamina', chart, '--dry-run=client', ...values])).stdout
    expect(await notes()).toContain('--for=condition=lamina.dev/Guarded')
    expect(await notes()).not.toContain('WITHOUT')
    expect(await notes('--set', 'admissionPolicies.enabled=false')).toContain('WITHOUT ITS ADMISSION POLICIES')
  })

  test("passes Helm's own checks", async () => {
    expect(await helm(['lint', '--strict', chart])).toMatchObject({ exitCode: 0 })
  })

  test.each([
    ['a misspelt value', 'controler.replicas=2', 'controler'],
    ['a value of the wrong type', 'controller.port=http', '/controller/port'],
    ['an unknown log level', 'agent.logLevel=loud', '/agent/logLevel'],
    ['an address of the console with a path', 'console.origins[0]=https://a.example/lamina', '/console/origins/0'],
    ['a peer that is none', 'networkPolicy.from[0].foo=1', '/networkPolicy/from/0'],
    ['a signature policy that is none', 'policyJson=none', 'policyJson is no containers-policy.json(5)'],
    ['an overhead that leaves nothing', 'storageOverhead.classes.slow=1', '/storageOverhead/classes/slow'],
  ])('refuses %s', async (_what, value, words) => {
    const { exitCode, stderr } = await helm(['template', 'lamina', chart, '--set', value])
    expect(stderr).toContain(words)
    expect(exitCode).not.toBe(0)
  })

  test.each([
    ['its defaults', []],
    [
      'a digest and pull secrets',
      ['--set', `image.digest=sha256:${'0'.repeat(64)}`, '--set', 'imagePullSecrets[0].name=private'],
    ],
    ['agents on some nodes only', ['--set', 'agent.nodeSelector.instances=here,agent.tolerations=null']],
    ['a controller alone', ['--set', 'controller.replicas=1,controller.nodeSelector.role=control']],
    [
      'a network policy, standbys and a dashboard',
      ['--set', 'networkPolicy.enabled=true,controller.replicas=3,metrics.dashboard.enabled=true'],
    ],
    ['no admission policies', ['--set', 'admissionPolicies.enabled=false']],
    [
      'a console',
      ['--set', 'console.enabled=true,networkPolicy.enabled=true,console.origins[0]=https://console.example'],
    ],
    ['an overhead of its own for a class', ['--set-json', 'storageOverhead.classes={"fast":0.1}']],
  ])('makes what the API server accepts without a warning: %s', async (_what, values) => {
    // Under another name: that of the installed one may not change its selectors.
    const { stdout } = await helm(['template', 'other', chart, ...values])
    const outcome = await kubectl.try(['create', '--dry-run=server', '--warnings-as-errors', '-f', '-'], {
      input: stdout
        .replaceAll('lamina.dev', 'other.example')
        .replaceAll(/(kind: RuntimeClass\nmetadata:\n {2}name:) lamina/g, '$1 other'),
    })
    expect(outcome).toMatchObject({ exitCode: 0, stderr: '' })
  })
})

describe('the operator, while an instance runs,', () => {
  let fixture: Fixture
  let podUID: string | undefined
  const dev = () => instance('dev', { overlays: ['dev'], podTemplate: promptly })
  beforeAll(async () => {
    fixture = await createFixture(kubectl, 'operator')
    await fixture.apply(registrySecret(cluster), debian, persistentOverlay('dev'), dev())
    await fixture.ready('instance', 'dev', 120)
    await fixture.exec('dev', 'sh', '-c', 'echo kept > /kept')
    podUID = (await kubectl.get(fixture.namespace, 'pod', 'dev')).metadata.uid
  })
  afterAll(async () => {
    await installOperator(cluster, () => {})
    await fixture.destroy()
  })

  const expectUndisturbed = async (): Promise<void> => {
    expect(await fixture.exec('dev', 'cat', '/kept')).toBe('kept')
    const pod = await kubectl.get(fixture.namespace, 'pod', 'dev')
    expect(pod.metadata.uid).toBe(podUID)
    expect(pod.status).toMatchObject({ phase: 'Running', containerStatuses: [{ name: 'main', restartCount: 0 }] })
  }
  const startAgain = async (): Promise<void> => {
    await fixture.delete('instance', 'dev')
    await fixture.apply(dev())
    await fixture.ready('instance', 'dev', 120)
    expect(await fixture.exec('dev', 'cat', '/kept')).toBe('kept')
    podUID = (await kubectl.get(fixture.namespace, 'pod', 'dev')).metadata.uid
  }

  test('is upgraded: both parts are rolled, the instance runs on', async () => {
    const before = new Set((await operatorPods()).map(({ metadata }) => metadata.uid))
    const values = ['--reuse-values', '--set', 'controller.logLevel=debug,agent.logLevel=debug']
    expect(await helm(['upgrade', 'lamina', chart, ...values, '--wait', '--timeout', '2m'])).toMatchObject({
      exitCode: 0,
    })
    const present = (await operatorPods()).filter(({ metadata }) => metadata.deletionTimestamp === undefined)
    expect(present).toHaveLength(2)
    for (const pod of present) {
      expect(before).not.toContain(pod.metadata.uid)
      expect(JSON.stringify(pod.spec)).toContain('{"name":"LOG_LEVEL","value":"debug"}')
    }
    await expectUndisturbed()
    await startAgain()
  })

  test('refuses to be uninstalled, names the instance, and says how to go on', async () => {
    const { exitCode, stderr } = await helm(['uninstall', 'lamina'])
    expect(stderr).toContain(`${fixture.namespace}/dev`)
    expect(exitCode).not.toBe(0)
    await expectUndisturbed()
    await startAgain()
    const [, revision = ''] = /helm -n lamina-system rollback lamina (\d+)/.exec(stderr) ?? []
    expect(await helm(['rollback', 'lamina', revision, '--wait'])).toMatchObject({ exitCode: 0 })
    expect((await helm(['status', 'lamina'])).stdout).toContain('STATUS: deployed')
    await expectUndisturbed()
  })

  test('is uninstalled all the same with --no-hooks: the instance runs on, a deletion waits, and nothing is lost', async () => {
    await fixture.apply(instance('ends', { podTemplate: promptly }))
    await fixture.ready('instance', 'ends')
    expect(await helm(['uninstall', 'lamina', '--no-hooks', '--wait'])).toMatchObject({ exitCode: 0 })
    await until('the operator is gone', async () => (await operatorPods()).length === 0)
    await expectUndisturbed()
    await fixture.exec('dev', 'sh', '-c', 'echo alone > /alone')
    await fixture.delete('instance', 'ends')
    await until(
      'its pod has ended',
      async () => (await kubectl.get(fixture.namespace, 'pod', 'ends')).metadata.deletionTimestamp,
    )

    await installOperator(cluster, () => {})
    await fixture.ready('instance', 'dev')
    await expectUndisturbed()
    await until('the deletion went through', async () => (await kubectl.list(fixture.namespace, 'pods')).length === 1)
    await startAgain()
    expect(await fixture.exec('dev', 'cat', '/alone')).toBe('alone')
  })

  test('is uninstalled when no instance has a pod, and finds everything again', async () => {
    await fixture.apply({ ...dev(), spec: { ...dev().spec, state: 'Stopped' } })
    await until('the pod is gone', async () => (await kubectl.list(fixture.namespace, 'pods')).length === 0)
    await fixture.apply({ ...debian, spec: { ...debian.spec, prefetch: {} } })
    await until('a prefetch is there', async () => (await kubectl.list(fixture.namespace, 'pods')).length === 1)
    expect(await helm(['uninstall', 'lamina', '--wait'])).toMatchObject({ exitCode: 0 })
    expect(await kubectl.list(fixture.namespace, 'daemonsets')).toEqual([])
    expect(await kubectl.list(fixture.namespace, 'pods')).toEqual([])
    expect(await kubectl.list(fixture.namespace, 'instances')).toHaveLength(1)
    await installOperator(cluster, () => {})
    await fixture.apply(dev())
    await fixture.ready('instance', 'dev', 120)
    expect(await fixture.exec('dev', 'cat', '/kept')).toBe('kept')
  })
})
