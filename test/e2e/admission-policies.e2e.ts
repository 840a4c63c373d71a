import { afterEach, describe, expect, test } from 'vitest'
import * as z from 'zod'
import { testCluster } from './support/cluster.ts'
import { conditionOf } from './support/conditions.ts'
import { operatorNamespace } from './support/operator.ts'
import { until } from './support/until.ts'

const { kubectl } = await testCluster()

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
const readable = z.object({ apiVersion: z.string(), kind: z.string(), spec: z.unknown() })
/** As it can be made again. */
const saved = async (resource: string, name: string): Promise<object> => {
  const { metadata, ...rest } = await kubectl.get('', resource, name)
  return { ...readable.parse(rest), metadata: { name, labels: metadata.labels } }
}

describe('whether the admission policies are in force', () => {
  let broken: object[] = []
  afterEach(async () => {
    for (const object of broken) await kubectl.run(['replace', '--force', '-f', '-'], { input: JSON.stringify(object) })
    broken = []
    await becomes('True', 'all 10 admission policies are in force')
  })

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
    ['a policy is deleted', policies, (name: string) => ['delete', policies, name]],
    ['its binding is deleted', bindings, (name: string) => ['delete', bindings, name]],
    [
      'it only warns',
      bindings,
      (name: string) => ['patch', bindings, name, '--type=merge', '-p', '{"spec":{"validationActions":["Warn"]}}'],
    ],
    [
      'it is bound for some namespaces alone',
      bindings,
      (name: string) => [
        ...['patch', bindings, name, '--type=merge', '-p'],
        '{"spec":{"matchResources":{"namespaceSelector":{"matchLabels":{"a":"b"}}}}}',
      ],
    ],
  ])('where %s: the condition names it', async (_what, resource, command) => {
    const name = 'lamina-claim-base'
    broken = [await saved(resource, name)]
    await kubectl.run(command(name))
    const { reason } = await becomes('False', `missing, or do not deny: ${name}. `)
    expect(reason).toBe('PoliciesMissing')
  })

  test('is told in an Event, too', async () => {
    const name = 'lamina-claim-sources'
    broken = [await saved(bindings, name)]
    await kubectl.run(['delete', bindings, name])
    await until('there is one', async () => {
      const selector = 'involvedObject.kind=Deployment,reason=PoliciesMissing'
      const events = ['-n', operatorNamespace, 'get', 'events', '--field-selector', selector, '-o', 'yaml']
      return (await kubectl.run(events)).includes(name)
    })
  })
})
