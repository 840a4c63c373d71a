import { once } from 'node:events'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { condition, genImage } from '../../../test/gen/objects.ts'
import { silentContext } from '../testing/context.ts'
import { waitUntilResolved } from './resolve.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** What becomes of the wait for an image that says this, and nothing else after. */
const waitFor = (reason: string) => {
  const conditions = [condition('Ready', 'False', reason)]
  const image = genImage('tools', { status: { observedGeneration: 1, conditions, resolved: undefined } })
  const client: Parameters<typeof waitUntilResolved>[0]['client'] = {
    listPage: async () => ({ items: [image], resourceVersion: '1', continue: undefined }),
    watch: async function* (_resource, _options, signal) {
      yield { type: 'MODIFIED' as const, object: image }
      await once(signal, 'abort')
    },
  }
  let outcome = 'waits'
  void waitUntilResolved({ client, namespace: 'team' }, silentContext, 'tools').catch((error: Error) => {
    outcome = error.message
  })
  return { after: vi.advanceTimersByTimeAsync, outcome: () => outcome }
}

test('a registry that does not answer is given up after twenty seconds, though nothing new is told of it', async () => {
  const { after, outcome } = waitFor('RegistryUnreachable')
  await after(19_999)
  expect(outcome()).toBe('waits')
  await after(1)
  expect(outcome()).toMatch(/^image tools: RegistryUnreachable/)
})

test('what was mistyped is not waited for', async () => {
  const { after, outcome } = waitFor('ImageNotFound')
  await after(0)
  expect(outcome()).toMatch(/^image tools: ImageNotFound/)
})

test('one that is being looked up is, for as long as it takes', async () => {
  const { after, outcome } = waitFor('Resolving')
  await after(60_000)
  expect(outcome()).toBe('waits')
})
