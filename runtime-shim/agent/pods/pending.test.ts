import { describe, expect, test } from 'vitest'
import type { KubeClient } from '../../../kube/client.ts'
import { pods } from '../../../kube/resources.ts'
import { silentLog } from '../../../kube/testing/silent-log.ts'
import { createPendingTeller } from './pending.ts'

const pod = pods.parse({ metadata: { namespace: 'team', name: 'dev', uid: 'uid-1' }, spec: { containers: [] } })

/** Tells a line each second; which were written to the pod. */
const written = async (seconds: number, apply?: () => Promise<never>): Promise<string[]> => {
  const messages: string[] = []
  let now = 0
  const client: Pick<KubeClient, 'apply'> = {
    apply: async (resource, body) => {
      if (apply) return apply()
      messages.push(/"message":"([^"]*)"/.exec(JSON.stringify(body))?.[1] ?? '')
      return resource.parse(body)
    },
  }
  const teller = createPendingTeller({ client, clock: { now: () => new Date(now * 1000) }, log: silentLog }, pod)
  for (; now <= seconds; now++) teller.line(`${now} s`)
  await teller.end()
  return messages
}

describe('how far a fetch is', () => {
  test('is not told of a short one', async () => {
    expect(await written(9)).toEqual([])
  })

  test('is told of a long one after ten seconds, and then every fifteen', async () => {
    expect(await written(60)).toEqual(['10 s', '25 s', '40 s', '55 s'])
  })

  test('ends no fetch when the API server does not take it', async () => {
    const refused = async (): Promise<never> => {
      throw new Error('no route')
    }
    expect(await written(60, refused)).toEqual([])
  })
})
