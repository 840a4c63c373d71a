import { describe, expect, test } from 'vitest'
import type { KubeClient } from '../../../kube/client.ts'
import { pods } from '../../../kube/resources.ts'
import { silentLog } from '../../../kube/testing/silent-log.ts'
import { createPendingTeller } from './pending.ts'

const podThatSays = (reason?: string) =>
  pods.parse({
    metadata: { namespace: 'team', name: 'dev', uid: 'uid-1' },
    spec: { containers: [] },
    status: {
      conditions: reason ? [{ type: 'lamina.dev/Prepared', status: 'False', reason, message: 'as before' }] : [],
    },
  })

/** Tells a line each second until the fetch ends; what was written to the pod. */
const written = async (
  seconds: number,
  { apply, before, fails = false }: { apply?: () => Promise<never>; before?: string; fails?: boolean } = {},
): Promise<string[]> => {
  const messages: string[] = []
  let now = 0
  const client: Pick<KubeClient, 'apply'> = {
    apply: async (resource, body) => {
      if (apply) return apply()
      messages.push(/"message":"([^"]*)"/.exec(JSON.stringify(body))?.[1] ?? '')
      return resource.parse(body)
    },
  }
  const teller = createPendingTeller(
    { client, clock: { now: () => new Date(now * 1000) }, log: silentLog },
    podThatSays(before),
  )
  for (; now <= seconds; now++) teller.line(`${now} s`)
  if (fails) teller.takeBack()
  await teller.end()
  return messages
}

describe('how far a fetch is', () => {
  test('is not told of a short one', async () => {
    expect(await written(4)).toEqual([])
  })

  test('is told of a long one after five seconds, and then every ten', async () => {
    expect(await written(60)).toEqual(['5 s', '15 s', '25 s', '35 s', '45 s', '55 s'])
  })

  test('gives way to the trouble of before where the fetch fails, for that may be told again', async () => {
    expect(await written(12, { before: 'ImageUnreachable', fails: true })).toEqual(['5 s', 'as before'])
    expect(await written(12, { before: 'ImageUnreachable' })).toEqual(['5 s'])
    expect(await written(4, { before: 'ImageUnreachable', fails: true })).toEqual([])
    expect(await written(12, { before: 'ImagePending', fails: true })).toEqual(['5 s'])
  })

  test('ends no fetch when the API server does not take it', async () => {
    const refused = async (): Promise<never> => {
      throw new Error('no route')
    }
    expect(await written(60, { apply: refused })).toEqual([])
  })
})
