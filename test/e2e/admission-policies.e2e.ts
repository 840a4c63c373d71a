import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { testCluster } from './support/cluster.ts'
import { conditionOf } from './support/conditions.ts'
import { createHelm } from './support/helm.ts'
import { operatorNamespace } from './support/operator.ts'
import { until } from './support/until.ts'

const { cluster, kubectl } = await testCluster()

const chart = join(import.meta.dirname, '../../charts/lamina')

const deployment = () => kubectl.get(operatorNamespace, 'deployment', 'lamina-controller')
const guarded = async () => conditionOf(await deployment(), 'lamina.dev/Guarded')
const becomes = (status: string, words: string) =>
  until(
    `the Deployment's condition is ${status}: ${words}`,
    async () => {
      const condition = await guarded()
      return condition.status === status && condition.message.includes(words) && condition
    },
    { describe: async () => JSON.stringify(await guarded()) },
  )

const bindings = 'validatingadmissionpolicybindings'
const policies = 'validatingadmissionpolicies'
const mend = async (name: string): Promise<void> => {
  for (const kind of [policies, bindings]) await kubectl.run(['delete', kind, name, '--ignore-not-found'])
  const helm = createHelm(cluster, operatorNamespace)
  expect(await helm(['upgrade', 'lamina', chart, '--reuse-values'])).toMatchObject({ exitCode: 0 })
  await becomes('True', 'all 10 admission policies are in force')
}

describe('whether the admission policies are in force', () => {
  test("is a condition of the controller's Deployment, which kubectl can wait for", async () => {
    await becomes('True', 'all 10 admission policies are in force')
    const condition = '--for=condition=lamina.dev/Guarded'
    await kubectl.run(['-n', operatorNamespace, 'wait', 'deployment/lamina-controller', condition, '--timeout=10s'])
  })

  test('outlasts what the Deployment controller writes there', async () => {
    const restart = `{"spec":{"template":{"metadata":{"annotations":{"tests/at":"${Date.now()}"}}}}}`
    await kubectl.run(['-n', operatorNamespace, 'patch', 'deployment', 'lamina-controller', '-p', restart])
    await kubectl.run(['-n', operatorNamespace, 'rollout', 'status', 'deployment/lamina-controller', '--timeout=60s'])
    expect(await guarded()).toMatchObject({ status: 'True' })
  })

  test.each([
    ['a policy is deleted', (name: string) => ['delete', policies, name]],
    ['its binding is deleted', (name: string) => ['delete', bindings, name]],
    [
      'it only warns',
      (name: string) => ['patch', bindings, name, '--type=merge', '-p', '{"spec":{"validationActions":["Warn"]}}'],
    ],
    [
      'it is bound for some namespaces alone',
      (name: string) => [
        ...['patch', bindings, name, '--type=merge', '-p'],
        '{"spec":{"matchResources":{"namespaceSelector":{"matchLabels":{"a":"b"}}}}}',
      ],
    ],
  ])('where %s: the condition names it, and what it says to do mends it', async (_what, command) => {
    const name = 'lamina-claim-base'
    await kubectl.run(command(name))
    const { reason } = await becomes('False', `missing, or do not deny: ${name}. `)
    expect(reason).toBe('PoliciesMissing')
    await mend(name)
  })

  test('is told in an Event, too', async () => {
    const name = 'lamina-claim-sources'
    await kubectl.run(['delete', bindings, name])
    await until('there is one', async () => {
      const selector = 'involvedObject.kind=Deployment,reason=PoliciesMissing'
      const events = ['-n', operatorNamespace, 'get', 'events', '--field-selector', selector, '-o', 'yaml']
      return (await kubectl.run(events)).includes(name)
    })
    await mend(name)
  })
})
