import { expect, test } from 'vitest'
import type { KubeClient } from '../../kube/client.ts'
import { eventsAbout } from './events.ts'

test('what a node says of every pod is no news of one', async () => {
  const items = [
    { metadata: { name: 'b' }, involvedObject: {}, reason: 'FailedMount', lastTimestamp: '2026-01-01T00:00:02Z' },
    { metadata: { name: 'c' }, involvedObject: {}, reason: 'MissingClusterDNS', lastTimestamp: '2026-01-01T00:00:03Z' },
    { metadata: { name: 'a' }, involvedObject: {}, reason: 'BackOff', lastTimestamp: '2026-01-01T00:00:01Z' },
  ]
  const client: Pick<KubeClient, 'list'> = { list: async (resource) => items.map((item) => resource.parse(item)) }
  const told = await eventsAbout(client, 'team', 'Pod', 'dev')
  expect(told.map(({ reason }) => reason)).toEqual(['BackOff', 'FailedMount'])
})
